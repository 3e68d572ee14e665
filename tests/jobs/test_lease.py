"""One of several processes has the lease, and another takes over when it lapses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from server.jobs import lease
from server.storage import Store

NOW = 1_767_225_600_000


def take(store: Store, holder: str, now: int = NOW, name: str = "jobs") -> bool:
    return store.write_now(lambda tx: lease.take(tx, name, holder, now=now))


def test_the_first_has_it_and_may_renew_it(store: Store) -> None:
    assert take(store, "one")
    assert not take(store, "two")
    assert take(store, "one", NOW + lease.LEASE_MS - 1)
    assert not take(store, "two", NOW + lease.LEASE_MS)


def test_it_is_taken_over_when_it_lapses_and_not_a_moment_before(store: Store) -> None:
    assert take(store, "one")
    assert not take(store, "two", NOW + lease.LEASE_MS - 1)
    assert take(store, "two", NOW + lease.LEASE_MS)
    assert not take(store, "one", NOW + lease.LEASE_MS)


def test_who_gives_it_up_makes_way_at_once_and_only_for_their_own(store: Store) -> None:
    assert take(store, "one")
    store.write_now(lambda tx: lease.release(tx, "jobs", "two"))
    assert not take(store, "two")
    store.write_now(lambda tx: lease.release(tx, "jobs", "one"))
    assert take(store, "two")


def test_leases_of_other_names_are_apart(store: Store) -> None:
    assert take(store, "one")
    assert take(store, "two", name="backup")


def test_of_many_who_ask_at_once_one_has_it(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: take(store, f"holder {n}"), range(8)))
    assert answers.count(True) == 1
