"""Tokens, codes, keys, passwords: what is made, what is stored, what is refused."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.profiles import RFC_9106_LOW_MEMORY
from hypothesis import given
from hypothesis import strategies as st

from server.access import crypto, passwords
from server.access.errors import Busy, NotAllowed, PasswordTooWeak, ReasonNeeded
from server.access.identity import Person
from server.access.passwords import NOBODY, WAITING_MAX, Passwords, check_new_password
from server.access.policy import Permission, Scope
from server.access.restricted import Showing, plain_reason, require, showing
from server.access.signing import SigningKey
from server.access.throttle import plain_address


def test_codes_have_80_bits_and_no_letter_that_looks_like_a_digit() -> None:
    codes = {crypto.new_code() for _ in range(200)}
    assert len(codes) == 200
    for code in codes:
        assert len(crypto.plain_code(code)) * 5 == 80
        assert not set(code) & set("ILOU")


@given(st.text(max_size=60))
def test_any_spelling_of_a_code_has_one_digest(noise: str) -> None:
    code = "7Q2M-XK4D-0RTE-9HNB"
    spaced = "".join(c + (" " if c == "-" else "") for c in code.lower())
    assert crypto.code_digest(spaced) == crypto.code_digest(code)
    assert crypto.code_digest(code.replace("0", "O")) == crypto.code_digest(code)
    if crypto.plain_code(noise) != crypto.plain_code(code):
        assert crypto.code_digest(noise) != crypto.code_digest(code)


@given(st.text(st.characters(min_codepoint=0, max_codepoint=0x10FFFF), max_size=40))
def test_digests_take_any_text(text: str) -> None:
    assert len(crypto.token_digest(text)) == 32
    assert len(crypto.keyed_digest(b"k" * 32, text)) == 64


def test_the_secret_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    secret = crypto.load_secret(tmp_path)
    assert len(secret) == 32 and crypto.load_secret(tmp_path) == secret
    assert stat.S_IMODE((tmp_path / crypto.SECRET_FILE).stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == [crypto.SECRET_FILE]
    assert crypto.load_secret(tmp_path, "ab" * 32) == b"\xab" * 32


def test_processes_that_start_together_end_with_one_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda _: crypto.load_secret(tmp_path), range(64)))
    assert len(found) == 1


def test_a_damaged_secret_is_refused_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / crypto.SECRET_FILE).write_bytes(b"short")
    with pytest.raises(ValueError, match="damaged"):
        crypto.load_secret(tmp_path)
    assert (tmp_path / crypto.SECRET_FILE).read_bytes() == b"short"


def test_keys_for_two_purposes_differ_and_stay_the_same() -> None:
    secret = b"s" * 32
    assert crypto.derive(secret, "csrf") == crypto.derive(secret, "csrf") != crypto.derive(secret, "cursor")
    assert SigningKey(secret).public == SigningKey(secret).public != SigningKey(b"t" * 32).public


def test_passwords_are_argon2id_and_an_unknown_person_costs_the_same_parameters() -> None:
    hasher = Passwords()
    stored = hasher.hash_now("correct horse battery")
    assert stored.startswith("$argon2id$")
    assert extract_parameters(stored) == extract_parameters(NOBODY) == RFC_9106_LOW_MEMORY
    assert hasher.verify_now(stored, "correct horse battery")
    assert not hasher.verify_now(stored, "correct horse batter")
    assert not hasher.verify_now(None, "nobody has this password")
    assert not hasher.verify_now("not a hash", "x")


def test_an_unknown_person_takes_about_as_long_as_a_known_one() -> None:
    hasher = Passwords()
    stored = hasher.hash_now("correct horse battery")

    def best(value: str | None) -> float:
        times = []
        for _ in range(5):
            begun = time.process_time()
            hasher.verify_now(value, "wrong")
            times.append(time.process_time() - begun)
        return min(times)

    known, unknown = best(stored), best(None)
    assert 0.4 < known / unknown < 2.5, (known, unknown)


def test_more_waiting_than_the_limit_are_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    hasher = Passwords(at_once=1)
    monkeypatch.setattr(hasher, "_hasher", cheap)

    async def rush() -> list[object]:
        return await asyncio.gather(
            *(hasher.verify(None, "x") for _ in range(WAITING_MAX + 5)), return_exceptions=True
        )

    answers = asyncio.run(rush())
    hasher.close()
    assert sum(isinstance(answer, Busy) for answer in answers) == 5
    assert answers.count(False) == WAITING_MAX


@pytest.mark.parametrize(
    "weak", ["", "eleven char", "x" * 257, "aaaaaaaaaaaa", "Password1234", "okafor-okafor-1"]
)
def test_weak_passwords_are_refused(weak: str) -> None:
    with pytest.raises(PasswordTooWeak):
        check_new_password(weak, "okafor")


@pytest.mark.parametrize(
    "good",
    [
        "three random words",
        "пароль из трёх слов",
        "密码密码密码一二三四五六七八",
        pytest.param(crypto.new_password(), id="made here"),
    ],
)
def test_long_passwords_of_any_script_are_accepted(good: str) -> None:
    check_new_password(good, "okafor")


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_attempts_are_counted_by_address_and_for_ipv6_by_network(address: str, counted: str) -> None:
    assert plain_address(address) == counted


def somebody(*permissions: Permission) -> Person:
    return Person(
        person_id=1,
        username="x",
        name="X",
        role="r",
        role_title="R",
        permissions=frozenset(permissions),
        scope=Scope.BOROUGH,
        borough=None,
        unit=None,
        boroughs=frozenset(),
    )


def test_a_restricted_record_asks_for_permission_and_a_reason() -> None:
    may, may_not = somebody(Permission.SEE_RESTRICTED), somebody(Permission.SEE_CHILDREN)
    assert showing(may_not, restricted=False, reason=None) is Showing.WHOLE
    assert showing(may_not, restricted=True, reason="a strategy discussion today") is Showing.WITHHELD
    assert showing(may, restricted=True, reason=None) is Showing.ASK_REASON
    assert showing(may, restricted=True, reason="  x  ") is Showing.ASK_REASON
    assert showing(may, restricted=True, reason="strategy discussion") is Showing.WHOLE
    with pytest.raises(NotAllowed):
        require(may_not, restricted=True, reason="strategy discussion")
    with pytest.raises(ReasonNeeded):
        require(may, restricted=True, reason=None)


@given(st.text(max_size=2000))
def test_a_reason_is_trimmed_bounded_and_free_of_nul(reason: str) -> None:
    plain = plain_reason(reason)
    assert plain is None or (8 <= len(plain) <= 500 and "\0" not in plain and plain == plain.strip())


def test_the_module_of_passwords_says_its_limits() -> None:
    assert passwords.PASSWORD_LENGTH_MIN == 12
