"""Housekeeping deletes what can no longer be used, and nothing else."""

from __future__ import annotations

from server.access import devices
from server.access.sessions import SessionRules
from server.access.throttle import Limits
from server.audit import Actor
from server.jobs import housekeeping
from server.records import changes, leases
from server.storage import Store, Transaction
from sync.envelope import ChangeOp

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


def test_a_phone_that_began_to_wipe_itself_counts_as_wiped_after_a_day_of_silence(store: Store) -> None:
    """Its last word may be lost, and a phone that is wiped never says it again."""
    store.write_now(lambda tx: tx.execute(PERSON, {"now": NOW}))
    store.write_now(lambda tx: tx.execute(DEVICE, {"now": NOW}))
    actor = Actor("device", "d")

    def state() -> str:
        return store.read_now(lambda tx: devices.everything(tx)[0].state)

    def begins(now: int) -> None:
        store.write_now(lambda tx: devices.seen(tx, "d", now=now))
        store.write_now(lambda tx: devices.wipe_begins(tx, "d", actor=actor, now=now))

    def tidied(now: int) -> str:
        store.write_now(lambda tx: housekeeping.run(tx, now, RULES, LIMITS))
        return state()

    begins(NOW)
    later = NOW + devices.WIPE_SILENCE_MS
    assert tidied(later - 1) == "wiping"
    assert tidied(later) == "wiped, its last word not heard"
    begins(later + 1)  # it had been killed before it erased itself
    assert tidied(later + 2) == "wiping"
    store.write_now(lambda tx: devices.wiped(tx, "d", actor=actor, now=later + 3))
    assert tidied(later * 2) == "wiped"


def test_what_was_on_phones_is_remembered_as_long_as_it_must_be(store: Store) -> None:
    day = 86_400_000

    def fill_in(tx: Transaction) -> None:
        for child, ended in ((1, NOW), (2, None)):
            tx.execute(
                "INSERT INTO holding (device_id, child_id, given_at, until, ended_at)"
                " VALUES ('d', :child, 0, 1, :ended)",
                {"child": child, "ended": ended},
            )
        for child, gone in ((1, 1), (2, 0)):
            tx.execute(
                "INSERT INTO briefed (ward, child_id, rev, digest, gone) VALUES ('W', :child, 3, '', :gone)",
                {"child": child, "gone": gone},
            )
            changes.put(tx, "briefing:W", "child", str(child), 3, ChangeOp.PUT)

    store.write_now(fill_in)

    def left(now: int) -> tuple[int, int, int]:
        store.write_now(lambda tx: housekeeping.run(tx, now, RULES, LIMITS))
        return count(store, "holding"), count(store, "briefed"), count(store, "change")

    assert left(NOW) == (2, 2, 2)
    assert left(NOW + leases.BRIEFED_KEPT_MS) == (2, 2, 2)
    assert left(NOW + leases.BRIEFED_KEPT_MS + 1) == (2, 1, 1)
    assert left(NOW + leases.HOLDING_KEPT_MS) == (2, 1, 1)
    assert left(NOW + leases.HOLDING_KEPT_MS + day) == (1, 1, 1)
