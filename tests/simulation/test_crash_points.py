"""Every crash point of short stories, exhaustively, on the phone and on the server."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.simulation.engines import Postgres, Sqlite
from tests.simulation.scripts import (
    SCRIPTS,
    Script,
    every_ending,
    lease_over,
    notes,
    receipts_lost,
    revoked,
    straggling_pull,
    written_while_wiping,
)
from tests.simulation.world import World


@pytest.mark.invariant(1, 2, 10, 11, 12, 15, 16)
@pytest.mark.parametrize("script", [notes, receipts_lost, revoked], ids=lambda script: script.__name__)
def test_nothing_is_lost_wherever_the_phone_or_the_server_dies(sqlite: Sqlite, script: Script) -> None:
    boundaries, endings = every_ending(script, sqlite)
    print(f"{boundaries} boundaries, {endings} endings of pushes")
    assert boundaries >= 12 and endings >= 7


@pytest.mark.invariant(8, 9, 10)
@pytest.mark.parametrize(
    "script", [lease_over, straggling_pull, written_while_wiping], ids=lambda script: script.__name__
)
def test_what_is_lent_ends_and_the_ledger_says_so_wherever_the_phone_dies(
    sqlite: Sqlite, script: Script
) -> None:
    every_ending(script, sqlite)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.invariant(1, 2, 8, 9, 10, 11, 12, 15, 16)
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_nor_in_any_other_story(sqlite: Sqlite, script: Script) -> None:
    every_ending(script, sqlite)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.invariant(1, 2, 10, 11, 12, 15, 16)
@pytest.mark.parametrize("script", [notes, receipts_lost], ids=lambda script: script.__name__)
def test_nothing_is_lost_on_postgres_either(postgres: Postgres, script: Script) -> None:
    every_ending(script, postgres)


@pytest.mark.invariant(1, 2)
@pytest.mark.parametrize("what", ["write", "amend"])
def test_a_note_is_written_whole_or_not_at_all(sqlite: Sqlite, what: str) -> None:
    for boundary in range(6):
        with closing(World(sqlite, boundary)) as world:
            phone = world.phones["okafor-1"]
            if what == "write":
                world.write(phone, 0, dies_in=boundary)
            else:
                world.write(phone, 0)
                world.follow_up(phone, 0, withdraw=False, dies_in=boundary)
            world.drain()
            assert len(world.oracle.life.ops) == len(world.oracle.written["okafor-1"])
