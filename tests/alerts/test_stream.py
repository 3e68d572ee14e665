"""The live stream: everybody hears every step of their boroughs once and in order, whatever happens on the way."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from server import duty
from server.access.identity import Person
from server.alerts import listener as listener_module
from server.alerts import stream
from server.alerts.listener import Position
from server.alerts.stream import Step, audience_of, read_position
from server.storage import Store
from sync.note import Place
from tests.alerts.ears import RIVERA, WAIT_S, go, hear, listening, running, write
from tests.road import AMARA, CAMDEN, JONAS, LAMBETH, SOUTHWARK, Road, somebody


def test_a_step_reaches_the_borough_whose_it_is_and_no_other(road: Road) -> None:
    async def main() -> None:
        async with (
            running(road.store) as hub,
            listening(hub, RIVERA) as mine,
            listening(hub, somebody("other", borough=CAMDEN)) as other,
            listening(hub, somebody("gaffer", "force_duty_officer")) as force,
            listening(hub, somebody("inspector", "duty_inspector", SOUTHWARK)) as unit,
        ):
            await write(road)
            for listener in (mine, force, unit):
                assert await hear(listener, 1) == [b"1:raised"]
            assert await other.frames(0) == []

    go(main)


def test_a_copy_reaches_the_borough_that_is_told_for_information(road: Road) -> None:
    road.child(AMARA, home=SOUTHWARK)

    async def main() -> None:
        async with running(road.store) as hub, listening(hub, somebody("s", borough=SOUTHWARK)) as told:
            lock = Place(place="Camden Lock", borough=CAMDEN)
            await asyncio.to_thread(
                lambda: road.officer("lam", CAMDEN).writes(AMARA, danger_now=True, found_at=lock)
            )
            assert await hear(told, 1) == [b"1:raised"]

    go(main)


def test_every_step_of_an_alert_is_heard_in_order(road: Road) -> None:
    async def main() -> None:
        async with running(road.store) as hub, listening(hub, RIVERA) as listener:
            await write(road)
            [(alert_id,)] = road.rows("SELECT alert_id FROM alert")
            await road.store.write(lambda tx: duty.acknowledge(tx, RIVERA, alert_id, now=road.now))
            await road.store.write(lambda tx: duty.close(tx, RIVERA, alert_id, "All is well", now=road.now))
            assert await hear(listener, 3) == [b"1:raised", b"2:acknowledged", b"3:closed"]

    go(main)


def test_who_comes_back_hears_what_was_missed_and_nothing_twice(road: Road) -> None:
    async def main() -> None:
        async with running(road.store) as hub:
            async with listening(hub, RIVERA) as listener:
                await write(road)
                await hear(listener, 1)
                seen = str(hub.position)
            for _ in range(3):
                road.passes(hours=30)
                await write(road)
            async with listening(hub, RIVERA, seen) as listener:
                road.passes(hours=30)
                await write(road)
                frames = await hear(listener, 4)
                assert [int(frame.partition(b":")[0]) for frame in frames] == [2, 3, 4, 5]
                assert await listener.frames(0) == []

    go(main)


def test_another_process_goes_on_where_the_first_one_stopped(road: Road) -> None:
    async def main() -> None:
        async with running(road.store) as first, running(road.store) as second:
            async with listening(first, RIVERA) as listener:
                await write(road)
                await hear(listener, 1)
                seen = str(first.position)
            road.passes(hours=30)
            await write(road)
            async with listening(second, RIVERA, seen) as listener:
                assert await hear(listener, 1) == [b"2:grew"]

    go(main)


def test_whoever_comes_while_the_stream_looks_where_it_is_misses_nothing(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens, a step is written, and the first browser comes before the stream has moved past it."""

    async def main() -> None:
        async with running(road.store) as hub:
            looking, go_on, newest = asyncio.Event(), asyncio.Event(), hub.newest

            async def slowly() -> Position:
                found = await newest()
                if found > hub.position:
                    looking.set()
                    await go_on.wait()
                return found

            monkeypatch.setattr(hub, "newest", slowly)
            await write(road)
            await asyncio.wait_for(looking.wait(), WAIT_S)
            async with listening(hub, RIVERA) as listener:
                go_on.set()
                assert await hear(listener, 1) == [b"1:raised"]

    go(main)


@pytest.mark.parametrize(
    "last_seen", ["", "soon", "1", "-1-2", "1-2-3", "9" * 30 + "-1", "\u0661-\u0662", "99999999-99999999"]
)
def test_a_position_that_is_not_of_this_database_is_answered_with_load_anew(
    road: Road, last_seen: str
) -> None:
    async def main() -> None:
        async with running(road.store) as hub, listening(hub, RIVERA, last_seen) as listener:
            assert await listener.frames(WAIT_S) == [b"reload"]
            await write(road)
            assert await hear(listener, 1) == [b"1:raised"]

    go(main)


def test_who_signs_out_is_heard_of_and_the_others_are_told_that_it_is_there(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "KEEP_ALIVE_SECONDS", 0.02)

    async def main() -> None:
        async with (
            running(road.store) as hub,
            listening(hub, RIVERA) as stays,
            listening(hub, RIVERA, session=b"") as leaves,
            listening(hub, somebody("moved", borough=CAMDEN)) as moves,
        ):
            assert await leaves.frames(WAIT_S) is None
            assert (await stays.frames(WAIT_S) or [])[0] == b"here 0-0"
            # The session of the third is RIVERA's by now: what that borough hears, this connection hears.
            await moves.frames(WAIT_S)
            await write(road)
            async with asyncio.timeout(WAIT_S):
                while b"1:raised" not in (await moves.frames(WAIT_S) or []):
                    pass

    go(main)


def test_who_was_away_for_too_long_loads_anew_and_then_goes_on(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "REPLAY_STEPS_MAX", 4)
    monkeypatch.setattr(listener_module, "READ_AT_ONCE_MAX", 2)

    async def main() -> None:
        for _ in range(9):
            await write(road)
            road.passes(hours=30)
        async with running(road.store) as hub, listening(hub, RIVERA, "0-0") as listener:
            assert await listener.frames(WAIT_S) == [b"reload"]
            await write(road)
            assert len(await hear(listener, 1)) == 1

    go(main)


def test_a_quiet_borough_keeps_up_with_the_position_of_the_others(road: Road) -> None:
    async def main() -> None:
        async with (
            running(road.store) as hub,
            listening(hub, RIVERA) as busy,
            listening(hub, somebody("other", borough=CAMDEN)) as quiet,
        ):
            await write(road)
            await hear(busy, 1)
            assert await quiet.frames(0) == []
            assert await hub.newest() == hub.position > Position(0, 0)

    go(main)


def test_steps_are_in_commit_order_however_their_writers_overlap(store: Store) -> None:
    """Two transactions overlap; whatever the order of their numbers, each step is heard once."""
    road = Road(store)
    officers = [road.officer(f"o{n}") for n in range(4)]

    async def main() -> None:
        async with running(store) as hub, listening(hub, RIVERA) as listener:

            async def burst(index: int) -> None:
                for number in range(5):
                    name = msgspec.structs.replace(
                        JONAS,
                        given_names=f"{'BDGK'[index]}a{'lmnrt'[number]}u",
                        family_name=None,
                        date_of_birth=None,
                    )
                    await asyncio.to_thread(lambda name=name: officers[index].writes(name))  # type: ignore[misc]  # bound early

            await asyncio.gather(*[burst(index) for index in range(4)])
            frames = await hear(listener, 20)
            assert len(set(frames)) == 20
            assert await listener.frames(0.2) == []

    go(main)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("5-17", Position(5, 17)),
        (" 5-17 ", Position(5, 17)),
        ("5", None),
        ("5-", None),
        ("a-b", None),
        ("-5-1", None),
    ],
)
def test_a_position_is_read_as_it_was_written(text: str, position: Position | None) -> None:
    assert read_position(text) == position
    assert position is None or read_position(str(position)) == position


def test_a_person_whose_role_sees_no_alerts_hears_none() -> None:
    step = Step(
        xid=1, event_id=1, alert_id=1, borough=LAMBETH, copies=(CAMDEN,), grade="red", kind="raised", at=0
    )
    people: list[tuple[Person, bool]] = [
        (RIVERA, True),
        (somebody("c", borough=CAMDEN), True),
        (somebody("s", borough=SOUTHWARK), False),
        (somebody("w", "ward_officer"), False),
        (somebody("a", "administrator"), False),
    ]
    for person, hears in people:
        audience = audience_of(person)
        assert (audience is not None and audience.hears(step.boroughs)) is hears, person.role
