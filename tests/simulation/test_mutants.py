"""The tests are tested: each mutant turns the simulation red, and without it the same seeds and stories are green."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from time import monotonic
from typing import Any

import psycopg
import pytest

from server import intake
from server.prepared import prepare
from server.records import changes, ledger, who_is_who
from server.storage import StorageConflict, Store, Transaction, open_store
from server.storage.postgres import PostgresStore
from sync import inbox
from sync.envelope import ChangeOp, Outcome
from tests.road import JONAS, Road
from tests.simulation.engines import Sqlite
from tests.simulation.mutants import SIMULATED, TOGETHER, Mutant
from tests.simulation.oracle import Violation
from tests.simulation.running import Failure, run
from tests.simulation.scripts import SCRIPTS, every_ending
from tests.storage.engines import WAIT_SECONDS_MAX, Crew
from tests.storage.fixtures import TEST_SETTINGS, empty

SEEDS = range(1, 13)
STEPS = 400


def red(engine: Sqlite, story: str | None) -> str:
    """What the simulation finds first, in the seeds or in that story. "" where it finds nothing."""
    try:
        if story is None:
            for seed in SEEDS:
                run(engine, seed, STEPS)
        else:
            every_ending(next(script for script in SCRIPTS if script.__name__ == story), engine)
    except (Failure, Violation) as found:
        return str(found)
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("mutant", SIMULATED, ids=lambda mutant: mutant.name)
def test_a_mutant_turns_the_simulation_red(sqlite: Sqlite, mutant: Mutant) -> None:
    with mutant.applied():
        found = red(sqlite, mutant.story)
    assert found, f"{mutant.name} breaks invariant {mutant.breaks}, and nothing saw it"
    print(f"{mutant.name} (invariant {mutant.breaks}): {found.strip().splitlines()[-2:]}")


@pytest.mark.slow
def test_without_a_mutant_the_same_seeds_are_green(sqlite: Sqlite) -> None:
    """The stories are told in `test_crash_points.py`."""
    for seed in SEEDS:
        run(sqlite, seed, STEPS)


# Those that only several transactions at once can show ------------------------------------------------


@pytest.fixture
def postgres_store(postgres_url: str) -> Iterator[Store]:
    empty(postgres_url)
    store = open_store(postgres_url, TEST_SETTINGS)
    yield store
    store.close_now()


def before_commit(store: Store, work: Callable[[Transaction], Any], meanwhile: Callable[[], None]) -> Any:
    """Run a write, and `meanwhile` between its last statement and its commit."""
    assert isinstance(store, PostgresStore)
    commit = store._commit
    bare: Any = store

    def held(*given: Any) -> None:
        del bare._commit
        meanwhile()
        commit(*given)

    bare._commit = held
    return store.write_now(work)


def two_at_once(store: Store) -> int:
    """Two pushes about one unknown child, the second while the first has not committed: how many children then."""
    road = Road(store)
    first, second = road.officer("okafor"), road.officer("lam")
    (_, line), (_, other) = first.note(JONAS), second.note(JONAS)
    prepared = prepare([line], first.identity.device_id)
    crew = Crew()

    def push_second() -> None:
        crew.start(lambda: second.push(other))
        until_one_waits(store)

    before_commit(
        store,
        lambda tx: intake.receive(tx, first.identity, prepared, now=road.now, world=road.worlds.current(tx)),
        push_second,
    )
    crew.join()
    return road.count("child")


def until_one_waits(store: Store) -> None:
    """Until a transaction of this database waits for a lock that another holds."""
    assert isinstance(store, PostgresStore)
    asks = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    deadline = monotonic() + WAIT_SECONDS_MAX
    with psycopg.connect(store._url, autocommit=True) as connection:
        while not connection.execute(asks).fetchall()[0][0]:
            assert monotonic() < deadline, "nobody waits"


def pulled_at_once(store: Store) -> tuple[set[str], set[str]]:
    """(what two pulls showed, what there is) where a change commits after one that came later."""
    place = (0, 0)
    shown: set[str] = set()

    def pull() -> None:
        nonlocal place
        rows = store.read_now(lambda tx: changes.after(tx, "notes:okafor", *place, 100))
        shown.update(row.id for row in rows)
        place = (rows[-1].xid, rows[-1].seq) if rows else place

    def meanwhile() -> None:
        store.write_now(lambda tx: changes.put(tx, "notes:okafor", "note", "late", 1, ChangeOp.PUT))
        pull()

    def put_early(tx: Transaction) -> None:
        changes.put(tx, "notes:okafor", "note", "early", 1, ChangeOp.PUT)

    before_commit(store, put_early, meanwhile)
    pull()
    return shown, {"early", "late"}


def named(name: str) -> Mutant:
    return next(mutant for mutant in TOGETHER if mutant.name == name)


@pytest.mark.invariant(17)
def test_two_pushes_that_meet_one_unknown_child_at_once_end_with_one(postgres_store: Store) -> None:
    assert two_at_once(postgres_store) == 1


def test_nobody_waits_for_who_is_who_is_seen(postgres_store: Store) -> None:
    with named("nobody_waits_for_who_is_who").applied():
        assert two_at_once(postgres_store) == 2, f"without the lock {who_is_who.LOCK!r} there would be two"


@pytest.mark.invariant(6)
def test_a_change_that_commits_late_is_still_pulled(postgres_store: Store) -> None:
    shown, there = pulled_at_once(postgres_store)
    assert shown == there


def test_naive_cursor_is_seen(postgres_store: Store) -> None:
    with named("naive_cursor").applied():
        shown, there = pulled_at_once(postgres_store)
    assert shown != there


class Undo(Exception):
    """Undoes a transaction; carries what was counted in it."""


def kept_twice(store: Store) -> int:
    """How many ops stand under one key where two workers both found it free."""
    road = Road(store)
    officer = road.officer()
    arrival = inbox.read_line(0, officer.note(JONAS)[1], device=officer.identity.device_id)

    def keep(tx: Transaction) -> None:
        stream = ledger.open_stream(tx, officer.identity.device_id, officer.epoch)
        ledger.keep(tx, stream, arrival, Outcome.APPLIED, now=road.now)
        with suppress(StorageConflict), tx.savepoint():
            ledger.keep(tx, stream, arrival, Outcome.APPLIED, now=road.now)
        raise Undo(tx.value("SELECT COUNT(*) FROM op"))

    with pytest.raises(Undo) as counted:
        store.write_now(keep)
    found: int = counted.value.args[0]
    return found


@pytest.mark.invariant(3)
def test_a_key_is_unique_in_the_database(store: Store) -> None:
    assert kept_twice(store) == 1


def test_no_unique_index_on_the_ledger_is_seen(store: Store) -> None:
    with named("no_unique_index_on_the_ledger").applied():
        assert kept_twice(store) == 2


def test_every_mutant_of_several_at_once_has_its_test() -> None:
    assert {f"test_{mutant.name}_is_seen" for mutant in TOGETHER} <= set(globals())
