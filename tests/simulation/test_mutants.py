"""The tests are tested: each mutant turns the simulation red, and without it the same seeds and stories are green."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from server import placing
from server.records import ledger
from server.storage import StorageBusy, StorageConflict, Store, Transaction, open_store
from server.storage.postgres import PostgresStore
from sync import inbox
from sync.envelope import Outcome
from tests.road import JONAS, Road
from tests.simulation.engines import Sqlite
from tests.simulation.mutants import SIMULATED, TOGETHER, Mutant
from tests.simulation.oracle import Violation
from tests.simulation.running import Failure, run
from tests.simulation.scripts import SCRIPTS, every_ending
from tests.storage.fixtures import TEST_SETTINGS

SEEDS = range(1, 13)
STEPS = 400


def red(engine: Sqlite) -> str:
    """What the simulation finds first: in seeds, and then in the stories. "" where it finds nothing."""
    for seed in SEEDS:
        try:
            run(engine, seed, STEPS)
        except Failure as failure:
            return str(failure)
    for script in SCRIPTS:
        try:
            every_ending(script, engine)
        except (Violation, AssertionError) as found:
            return f"{script.__name__}: {found}"
    return ""


@pytest.mark.parametrize("mutant", SIMULATED, ids=lambda mutant: mutant.name)
def test_a_mutant_turns_the_simulation_red(sqlite: Sqlite, mutant: Mutant) -> None:
    with mutant.applied():
        found = red(sqlite)
    assert found, f"{mutant.name} breaks invariant {mutant.breaks}, and nothing saw it"
    print(f"{mutant.name} (invariant {mutant.breaks}): {found.strip().splitlines()[-2:]}")


def test_without_a_mutant_the_same_seeds_are_green(sqlite: Sqlite) -> None:
    """The stories are told in `test_crash_points.py`."""
    for seed in SEEDS:
        run(sqlite, seed, STEPS)


# Those that only several transactions at once can show ------------------------------------------------


@pytest.fixture
def postgres_store(postgres_url: str, store_address: str) -> Iterator[Store]:
    if not store_address.startswith("postgresql"):
        pytest.skip("one writer at a time")
    settings = type(TEST_SETTINGS)(pool_connections_max=4, lock_seconds_max=0.2)
    with closing_now(open_store(store_address, settings)) as store:
        yield store


class closing_now(closing[Any]):
    """`closing` for stores."""

    def __exit__(self, *_: object) -> None:
        self.thing.close_now()


class Held(Exception):
    """Never raised: the work ran to its end."""


def before_commit(store: Store, work: Callable[[Transaction], Any], meanwhile: Callable[[], None]) -> Any:
    """Run a write, and `meanwhile` between its last statement and its commit."""
    assert isinstance(store, PostgresStore)
    commit = store._commit
    bare: Any = store

    def held(connection: Any) -> None:
        del bare._commit
        meanwhile()
        commit(connection)

    bare._commit = held
    return store.write_now(work)


def two_at_once(store: Store) -> int:
    """Two pushes about one unknown child, the second while the first has not committed: how many children then."""
    road = Road(store)
    first, second = road.officer("okafor"), road.officer("lam")
    (_, line), (_, other) = first.note(JONAS), second.note(JONAS)

    def push_second() -> None:
        try:
            second.push(other)
        except StorageBusy:
            waited.append(True)

    waited: list[bool] = []
    prepared = _prepared(first, line)
    before_commit(store, prepared, push_second)
    if waited:
        second.push(other)  # as a phone does that was told to come back
    return road.count("child")


def _prepared(officer: Any, line: bytes) -> Callable[[Transaction], Any]:
    from server import intake

    prepared = intake.prepare([line], officer.identity.device_id)
    road = officer.road
    return lambda tx: intake.receive(tx, officer.identity, prepared, now=road.now, world=road.worlds.current(tx))


def pulled_at_once(store: Store) -> tuple[set[str], set[str]]:
    """(what two pulls showed, what there is) where a change commits after one that came later."""
    from server.records import changes

    road = Road(store)
    early, late = road.officer("okafor"), road.officer("okafor")
    place = (0, 0)
    shown: set[str] = set()

    def pull() -> None:
        nonlocal place
        rows = store.read_now(lambda tx: changes.after(tx, ["notes:okafor"], *place, 100))
        shown.update(row.id for row in rows)
        place = (rows[-1].xid, rows[-1].seq) if rows else place

    def meanwhile() -> None:
        store.write_now(lambda tx: changes.put(tx, "notes:okafor", "note", "late", 1, _PUT))
        pull()

    def put_early(tx: Transaction) -> None:
        changes.put(tx, "notes:okafor", "note", "early", 1, _PUT)

    assert early.identity.username == late.identity.username
    before_commit(store, put_early, meanwhile)
    pull()
    return shown, {"early", "late"}


_PUT = __import__("sync.envelope", fromlist=["ChangeOp"]).ChangeOp.PUT


def named(name: str) -> Mutant:
    return next(mutant for mutant in TOGETHER if mutant.name == name)


@pytest.mark.invariant(17)
def test_two_pushes_that_meet_one_unknown_child_at_once_end_with_one(postgres_store: Store) -> None:
    assert two_at_once(postgres_store) == 1


def test_nobody_waits_for_who_is_who_is_seen(postgres_store: Store) -> None:
    with named("nobody_waits_for_who_is_who").applied():
        assert two_at_once(postgres_store) == 2, f"without the lock {placing.WHO_IS_WHO!r} there would be two"


@pytest.mark.invariant(6)
def test_a_change_that_commits_late_is_still_pulled(postgres_store: Store) -> None:
    shown, there = pulled_at_once(postgres_store)
    assert shown == there


def test_naive_cursor_is_seen(postgres_store: Store) -> None:
    with named("naive_cursor").applied():
        shown, there = pulled_at_once(postgres_store)
    assert shown != there


def kept_twice(store: Store) -> int:
    """How many ops stand under one key where two workers both found it free."""
    road = Road(store)
    officer = road.officer()
    line = officer.note(JONAS)[1]
    arrival = inbox.read_line(0, line, device=officer.identity.device_id)

    def keep(tx: Transaction) -> None:
        stream = ledger.open_stream(tx, officer.identity.device_id, officer.epoch)
        ledger.keep(tx, stream, arrival, Outcome.APPLIED, now=road.now)

    store.write_now(keep)
    try:
        store.write_now(keep)
    except StorageConflict:
        pass
    return road.count("op")


@pytest.mark.invariant(3)
def test_a_key_is_unique_in_the_database(store: Store) -> None:
    assert kept_twice(store) == 1


def test_no_unique_index_on_the_ledgers_key_is_seen(store: Store) -> None:
    store.write_now(without_unique_key)
    assert kept_twice(store) == 2


def without_unique_key(tx: Transaction) -> None:
    """Make the ledger anew without its unique key, on either engine. The test's database is emptied after it."""
