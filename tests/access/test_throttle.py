"""Wrong attempts, counted in the database, on both engines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from server.access import throttle
from server.access.errors import TooManyAttempts
from server.storage import Store

LIMITS = throttle.Limits(3, 5, 60_000, b"k" * 32)
NOW = 1_800_000_000_000


def attempt(store: Store, username: str | None, address: str, now: int) -> list[int]:
    return store.write_now(lambda tx: throttle.begin(tx, LIMITS, username=username, address=address, now=now))


def test_the_window_slides_and_the_wait_is_exact(store: Store) -> None:
    for at in (0, 10_000, 20_000):
        attempt(store, "x", "a", NOW + at)
    with pytest.raises(TooManyAttempts) as caught:
        attempt(store, "x", "b", NOW + 25_500)
    assert caught.value.retry_after_s == 35
    with pytest.raises(TooManyAttempts):
        attempt(store, "x", "b", NOW + 59_999)
    attempt(store, "x", "b", NOW + 60_000)
    with pytest.raises(TooManyAttempts):
        attempt(store, "x", "b", NOW + 60_001)


def test_an_address_is_limited_over_many_usernames_and_others_are_not(store: Store) -> None:
    for number in range(5):
        attempt(store, f"user{number}", "a", NOW)
    with pytest.raises(TooManyAttempts):
        attempt(store, "user9", "a", NOW)
    attempt(store, "user9", "b", NOW)


def test_a_refused_attempt_is_not_counted_so_that_waiting_ends(store: Store) -> None:
    for _ in range(3):
        attempt(store, "x", "a", NOW)
    for at in range(0, 59_000, 1000):
        with pytest.raises(TooManyAttempts):
            attempt(store, "x", "b", NOW + at)
    attempt(store, "x", "b", NOW + 60_000)


def test_guesses_made_at_once_cannot_slip_under_the_limit(store: Store) -> None:
    def guess(_number: int) -> bool:
        try:
            attempt(store, "x", "a", NOW)
        except TooManyAttempts:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(guess, range(40))) == 3


def test_forgiving_clears_the_username_and_its_own_attempt_of_the_address(store: Store) -> None:
    attempt(store, "x", "a", NOW)
    attempts = attempt(store, "x", "a", NOW)
    store.write_now(lambda tx: throttle.forgive(tx, attempts, LIMITS, username="x"))
    left = store.read_now(lambda tx: tx.rows("SELECT kind FROM sign_in_attempt"))
    assert left == [("address",)]


def test_pruning_deletes_what_no_longer_counts(store: Store) -> None:
    attempt(store, "x", "a", NOW)
    attempt(store, "x", "a", NOW + 30_000)
    assert store.write_now(lambda tx: throttle.prune(tx, LIMITS, NOW + 60_000)) == 2
    assert store.write_now(lambda tx: throttle.prune(tx, LIMITS, NOW + 90_000)) == 2
