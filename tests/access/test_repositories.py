"""People, sessions and phones in the database, on both engines."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from server.access import devices, people, sessions
from server.access.assertions import Claims
from server.access.errors import AccountError, CodeRefused, NotSignedIn, ProofRefused, TokenRefused
from server.access.policy import load_policy
from server.access.sessions import SessionRules
from server.audit import Actor
from server.storage import Store

NOW = 1_800_000_000_000
MINUTE = 60_000
ADMIN = Actor("system", "tests")
RULES = SessionRules(30 * MINUTE, 720 * MINUTE)
POLICY = load_policy()


def add(store: Store, username: str = "okafor", role: str = "schools_officer") -> int:
    return store.write_now(
        lambda tx: people.add(
            tx,
            username=username,
            name=f"Test {username}",
            role=role,
            borough="E09000022",
            password_hash="!",
            must_change=False,
            actor=ADMIN,
            now=NOW,
        )
    )


def code_for(store: Store, username: str = "okafor", now: int = NOW) -> str:
    return store.write_now(
        lambda tx: devices.make_code(tx, username, ward="E05014095", now=now, lifetime_ms=15 * MINUTE)
    )


def key() -> dict[str, Any]:
    members: dict[str, Any] = ECAlgorithm.to_jwk(
        ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True
    )
    return members


def enrol(store: Store, code: str, jwk: dict[str, Any], now: int = NOW) -> str:
    return store.write_now(
        lambda tx: devices.enrol(tx, code, jwk, name="phone 7", app_version="1.0", now=now)
    ).device_id


def token_of(store: Store, device_id: str, jti: str = "a-random-jti", now: int = NOW) -> str:
    claims = Claims(device_id, jti, now + 5 * MINUTE)
    return store.write_now(
        lambda tx: devices.issue_token(tx, claims, now=now, lifetime_ms=60 * MINUTE, keep_ms=MINUTE)
    )


def test_usernames_are_one_person_however_they_are_typed(store: Store) -> None:
    person_id = add(store, "  OKAFOR ")
    for typed in ("okafor", "Okafor", " okafor\t", "o\0kafor", "\uff4fkafor"):
        found = store.read_now(partial(people.find, username=typed))
        assert found is not None and found.person_id == person_id
    with pytest.raises(AccountError, match="taken"):
        add(store, "OKAFOR")


def test_adding_and_changing_people_and_phones_is_audited(store: Store) -> None:
    person_id = add(store)
    device_id = enrol(store, code_for(store), key())
    store.write_now(lambda tx: devices.revoke(tx, device_id, actor=ADMIN, now=NOW))
    store.write_now(
        lambda tx: people.set_password(tx, person_id, "!", must_change=True, actor=ADMIN, now=NOW)
    )
    rows = store.read_now(lambda tx: tx.rows("SELECT verb, kind, ids FROM audit_entry ORDER BY position"))
    assert [(verb, kind, json.loads(ids)) for verb, kind, ids in rows] == [
        ("collection", "person", [str(person_id)]),
        ("collection", "device", [device_id]),
        ("alteration", "device", [device_id]),
        ("alteration", "person", [str(person_id)]),
    ]


def test_closing_an_account_ends_its_sessions_for_good(store: Store) -> None:
    person_id = add(store)
    store.write_now(lambda tx: sessions.start(tx, POLICY, RULES, person_id, NOW))
    for active in (False, True):
        store.write_now(partial(people.set_active, person_id=person_id, active=active, actor=ADMIN, now=NOW))
    assert store.read_now(lambda tx: tx.value("SELECT count(*) FROM person_session")) == 0
    store.write_now(lambda tx: people.set_active(tx, person_id, False, actor=ADMIN, now=NOW))
    with pytest.raises(NotSignedIn):
        store.write_now(lambda tx: sessions.start(tx, POLICY, RULES, person_id, NOW))


def test_a_new_password_ends_every_session(store: Store) -> None:
    person_id = add(store)
    store.write_now(lambda tx: sessions.start(tx, POLICY, RULES, person_id, NOW))
    store.write_now(
        lambda tx: people.set_password(tx, person_id, "!", must_change=False, actor=ADMIN, now=NOW)
    )
    assert store.read_now(lambda tx: tx.value("SELECT count(*) FROM person_session")) == 0


def test_pruning_sessions_deletes_what_has_ended_and_no_more(store: Store) -> None:
    person_id = add(store)
    for started in (NOW, NOW + 10 * MINUTE):
        store.write_now(partial(sessions.start, policy=POLICY, rules=RULES, person_id=person_id, now=started))
    assert store.write_now(lambda tx: sessions.prune(tx, RULES, NOW + 29 * MINUTE)) == 0
    assert store.write_now(lambda tx: sessions.prune(tx, RULES, NOW + 30 * MINUTE)) == 1
    assert store.write_now(lambda tx: sessions.prune(tx, RULES, NOW + 40 * MINUTE)) == 1


def test_two_phones_that_use_one_code_at_once_end_with_one_enrolled(store: Store) -> None:
    add(store)
    code = code_for(store)

    def attempt(_number: int) -> str | None:
        try:
            return enrol(store, code, key())
        except CodeRefused:
            return None

    with ThreadPoolExecutor(8) as pool:
        won = [device for device in pool.map(attempt, range(8)) if device is not None]
    assert len(won) == 1
    assert [row.device_id for row in store.read_now(devices.everything)] == won


def test_one_phone_that_asks_many_times_at_once_is_one_device(store: Store) -> None:
    add(store)
    code, jwk = code_for(store), key()
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: enrol(store, code, jwk), range(8)))) == 1


def test_a_key_is_enrolled_once_even_with_another_code(store: Store) -> None:
    add(store)
    jwk = key()
    enrol(store, code_for(store), jwk)
    code = code_for(store)
    with pytest.raises(CodeRefused, match="enrolled already"):
        enrol(store, code, jwk)
    enrol(store, code, key())


def test_an_assertion_used_at_once_by_many_gives_one_token(store: Store) -> None:
    add(store)
    device_id = enrol(store, code_for(store), key())

    def attempt(_number: int) -> bool:
        try:
            token_of(store, device_id)
        except ProofRefused:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def test_a_token_identifies_its_phone_until_it_expires(store: Store) -> None:
    add(store)
    device_id = enrol(store, code_for(store), key())
    token = token_of(store, device_id)
    identity = store.read_now(lambda tx: devices.identify(tx, token, NOW + 60 * MINUTE - 1))
    assert (identity.device_id, identity.username, identity.ward) == (device_id, "okafor", "E05014095")
    assert (identity.officer_name, identity.borough, identity.revoked) == ("Test okafor", "E09000022", False)
    with pytest.raises(TokenRefused, match="expired"):
        store.read_now(lambda tx: devices.identify(tx, token, NOW + 60 * MINUTE))
    with pytest.raises(TokenRefused, match="not known"):
        store.read_now(lambda tx: devices.identify(tx, token + "x", NOW))


def test_revoking_twice_keeps_the_first_time_and_an_unknown_phone_is_an_error(store: Store) -> None:
    add(store)
    device_id = enrol(store, code_for(store), key())
    assert store.write_now(lambda tx: devices.revoke(tx, device_id, actor=ADMIN, now=NOW))
    assert not store.write_now(lambda tx: devices.revoke(tx, device_id, actor=ADMIN, now=NOW + 1))
    [row] = store.read_now(lambda tx: devices.everything(tx, username="Okafor"))
    assert (row.status, row.revoked_at) == ("revoked", NOW)
    with pytest.raises(AccountError):
        store.write_now(lambda tx: devices.revoke(tx, str(uuid.uuid4()), actor=ADMIN, now=NOW))


def test_an_officer_may_not_have_codes_without_end(store: Store) -> None:
    add(store)
    for _ in range(devices.CODES_OPEN_MAX):
        code_for(store)
    with pytest.raises(AccountError, match="still open"):
        code_for(store)
    assert code_for(store, now=NOW + 15 * MINUTE)


def test_an_assertion_is_remembered_for_as_long_as_it_could_be_accepted(store: Store) -> None:
    add(store)
    device_id = enrol(store, code_for(store), key())
    token_of(store, device_id)
    last_moment = NOW + 5 * MINUTE + MINUTE - 1
    store.write_now(lambda tx: devices.prune(tx, last_moment))
    with pytest.raises(ProofRefused, match="before"):
        token_of(store, device_id, now=NOW)


def test_a_phone_that_was_heard_of_keeps_its_version_when_none_is_said(store: Store) -> None:
    add(store)
    device_id = enrol(store, code_for(store), key())
    store.write_now(lambda tx: devices.seen(tx, device_id, now=NOW + 5))
    [row] = store.read_now(devices.everything)
    assert (row.last_seen_at, row.app_version) == (NOW + 5, "1.0")
    assert store.read_now(lambda tx: devices.everything(tx, username="somebody")) == []
