"""Housekeeping deletes what can no longer be used, and nothing else."""

from __future__ import annotations

from server.access.sessions import SessionRules
from server.access.throttle import Limits
from server.jobs import housekeeping
from server.storage import Store, Transaction

NOW = 1_767_225_600_000
RULES = SessionRules(idle_ms=1_000, absolute_ms=100_000)
LIMITS = Limits(10, 50, 1_000, b"k" * 32)

PERSON = (
    "INSERT INTO person (id, username, name, role, password_hash, created_at)"
    " VALUES (1, 'okafor', 'PC Okafor', 'ward_officer', '!', :now)"
)
DEVICE = (
    "INSERT INTO device (device_id, thumbprint, public_key, person, name, role, status, enrolled_at)"
    " VALUES ('d', 't', '{}', 1, 'phone', 'ward_officer', 'active', :now)"
)


def fill(tx: Transaction) -> None:
    """One row that is spent and one that is good of everything that ends."""
    tx.execute(PERSON, {"now": NOW})
    tx.execute(DEVICE, {"now": NOW})
    for key, ends in ((b"spent", NOW), (b"good", NOW + 1)):
        marks = {"key": key, "ends": ends}
        tx.execute(
            "INSERT INTO person_session (token_sha256, person, started_at, seen_at, expires_at)"
            " VALUES (:key, 1, 0, :seen, :ends)",
            {**marks, "seen": NOW},
        )
        tx.execute(
            "INSERT INTO device_token (token_sha256, device_id, expires_at) VALUES (:key, 'd', :ends)", marks
        )
        tx.execute(
            "INSERT INTO enrolment_code (code_sha256, person, made_at, expires_at) VALUES (:key, 1, 0, :ends)",
            marks,
        )
        tx.execute(
            "INSERT INTO assertion_seen (device_id, jti, expires_at) VALUES ('d', :jti, :ends)",
            {"jti": key.decode(), "ends": ends},
        )
        tx.execute(
            "INSERT INTO sign_in_attempt (kind, subject, at) VALUES ('username', 's', :at)",
            {"at": ends - LIMITS.window_ms},
        )
    tx.execute(
        "INSERT INTO person_session (token_sha256, person, started_at, seen_at, expires_at)"
        " VALUES (:key, 1, 0, :seen, :ends)",
        {"key": b"idle", "seen": NOW - RULES.idle_ms, "ends": NOW + 50_000},
    )


def count(store: Store, table: str) -> int:
    found: int = store.read_now(lambda tx: tx.value(f"SELECT COUNT(*) FROM {table}"))
    return found


def test_what_is_spent_goes_and_what_is_good_stays(store: Store) -> None:
    store.write_now(fill)
    gone = store.write_now(lambda tx: housekeeping.run(tx, NOW, RULES, LIMITS))
    assert gone == 6
    for table in ("person_session", "device_token", "enrolment_code", "assertion_seen", "sign_in_attempt"):
        assert count(store, table) == 1, table
    assert store.write_now(lambda tx: housekeeping.run(tx, NOW, RULES, LIMITS)) == 0
