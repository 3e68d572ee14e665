"""Short stories, told once for every boundary at which the phone can die, and for every way a request can end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import msgspec

from sync.envelope import PushAnswer
from tests.simulation.engines import Engine
from tests.simulation.phone import Call, Pause, Phone
from tests.simulation.server import DIES_AFTER, DIES_BEFORE, FAILS
from tests.simulation.world import TURNS_MAX, World

Script = Callable[[World, Phone, Any], None]
"""What happens in a world, up to a sync that is begun with what is given as the third argument."""

BOUNDARIES_MAX = 120
"""More than any of the stories has; one that never ends would be found here."""
LOST_REQUEST, LOST_ANSWER, TWICE, NO_RECEIPT = "lost request", "lost answer", "twice", "no receipt"
ENDINGS = (FAILS, DIES_BEFORE, DIES_AFTER, LOST_REQUEST, LOST_ANSWER, TWICE, NO_RECEIPT)


def notes(world: World, phone: Phone, sync: Any) -> None:
    """Two notes and an amendment, one op a push."""
    world.write(phone, 0)
    world.write(phone, 2)
    world.follow_up(phone, 0, withdraw=False)
    sync(world, phone)


def receipts_lost(world: World, phone: Phone, sync: Any) -> None:
    """The first answer has no receipt, and the phone must not say that all is sent."""
    world.write(phone, 0)
    sync(world, phone, NO_RECEIPT)


def bad_among_good(world: World, phone: Phone, sync: Any) -> None:
    """One push with a bug, a newer schema and a body that cannot be read among good notes."""
    for nature in ("good", "bug", "newer", "good", "poison", "good"):
        world.write(phone, 1, nature)
    sync(world, phone, ops=50)


def server_restored(world: World, phone: Phone, sync: Any) -> None:
    """The server comes back from a backup that lacks the last note."""
    _synced(world, phone, 0)
    _backed_up(world)
    _synced(world, phone, 1)
    world.restore()
    world.write(phone, 2)
    sync(world, phone)


def forgotten(world: World, phone: Phone, sync: Any) -> None:
    """A day later a phone forgets what the backup holds, and nothing else; then the server is restored."""
    _synced(world, phone, 0)
    _backed_up(world)
    _synced(world, phone, 1)
    world.pass_time(30 * 3_600)
    world.write(phone, 2)
    sync(world, phone)
    world.restore()


def numbers_taken(world: World, phone: Phone, sync: Any) -> None:
    """The phone is restored in place, and three of its numbers are taken."""
    world.keep_snapshot(phone)
    for child in range(3):
        world.write(phone, child)
    _whole(world, phone)
    world.roll_back(phone, same_disk=True)
    phone = world.phones[phone.name]
    for child in range(3):
        world.write(phone, child)
    sync(world, phone)


def cloned(world: World, phone: Phone, sync: Any) -> None:
    """A clone sends what the original has too, and both write on."""
    world.write(phone, 0)
    world.clone(phone)
    clone = world.phones[f"{phone.name}'"]
    world.write(clone, 1)
    _whole(world, clone)
    world.write(phone, 2)
    sync(world, phone)


def revoked(world: World, phone: Phone, sync: Any) -> None:
    """The phone is revoked with a note on it: handed in to quarantine, and then wiped."""
    _synced(world, phone, 0)
    world.write(phone, 1)
    world.revoke(phone)
    sync(world, phone)


def withdrawn_first(world: World, phone: Phone, sync: Any) -> None:
    """A phone dies between note and withdrawal; the withdrawal of a clone comes first."""
    world.write(phone, 0)
    world.follow_up(phone, 0, withdraw=True)
    sync(world, phone)


def taken_by_a_clone(world: World, phone: Phone, sync: Any) -> None:
    """After a restore a clone of the whole disk puts another note under the number of one that the server lost, and a
    backup calls that number durable."""
    _backed_up(world)
    world.clone(phone, imaged=True)
    clone = world.phones[f"{phone.name}'"]
    _synced(world, phone, 0)
    world.restore()
    _synced(world, clone, 1)
    _backed_up(world)
    sync(world, phone)


def restored_between(world: World, phone: Phone, sync: Any) -> None:
    """The same, and the restore falls between the hello and the push of a phone that might forget its note."""
    _backed_up(world)
    world.clone(phone, imaged=True)
    clone = world.phones[f"{phone.name}'"]
    _synced(world, phone, 0)
    world.pass_time(30 * 3_600)
    world.write(phone, 2)
    world.sync(phone, 50)
    _until_asked(world, phone, "push")
    world.restore()
    _synced(world, clone, 1)
    _backed_up(world)
    world.run_until_idle(phone)
    sync(world, phone)


def written_while_wiping(world: World, phone: Phone, sync: Any) -> None:
    """A note is written while the phone says that it begins to wipe itself."""
    _synced(world, phone, 0)
    world.order_wipe(phone)
    world.sync(phone, 50)
    _until_asked(world, phone, "condition")
    world.write(phone, 1)
    world.run_until_idle(phone)
    if not phone.gone:
        sync(world, phone)


def lease_over(world: World, phone: Phone, sync: Any) -> None:
    """A lease ends while the phone is offline, whose clock was set back; then it syncs, and begins another."""
    _briefed(world, phone, 0)
    world.jump_clock(phone, -5)
    world.look(phone)
    world.pass_time(world.lending.lasts // 1_000)
    world.write(phone, 2)
    world.look(phone)
    sync(world, phone)
    if not phone.gone:
        _briefed(world, phone, 1)


def lease_over_unseen(world: World, phone: Phone, sync: Any) -> None:
    """It ends while nobody looks at the phone, which has been switched off and on: the next sync finds out."""
    _briefed(world, phone, 0)
    world.boot_again(phone)
    world.pass_time(world.lending.lasts // 1_000)
    sync(world, phone)
    world.check_database(every_moment=True)


def lease_answer_late(world: World, phone: Phone, sync: Any) -> None:
    """The page with the lease is under way for half a shift, and then the phone's clock is set back."""
    _synced(world, phone, 0)
    world.sync(phone, 50, lease=True)
    _until_asked(world, phone, "pull")
    world.deliver(world.network[-1])
    world.pass_time(world.lending.lasts // 2_000)
    world.run_until_idle(phone)
    world.jump_clock(phone, -5)
    world.pass_time(world.lending.lasts // 2_000)
    world.look(phone)
    sync(world, phone)


def lease_not_prolonged(world: World, phone: Phone, sync: Any) -> None:
    """Opening the briefing again in the middle of a shift begins no other one."""
    _briefed(world, phone, 0)
    world.pass_time(world.lending.lasts // 2_000)
    _briefed(world, phone, 1)
    sync(world, phone)
    world.pass_time(world.lending.lasts // 2_000)
    world.look(phone)


def child_moves(world: World, phone: Phone, sync: Any) -> None:
    """One child leaves a ward's briefing, one's alert is closed, one is restricted: all leave the phone."""
    other = world.phones["lam-1"]
    for child in (0, 1, 2):
        _synced(world, phone, child)
    _briefed(world, phone, 0)
    _briefed(world, other, 0)
    world.follow_up(phone, 0, withdraw=True)
    world.follow_up(phone, 3, withdraw=True)
    world.restrict(1)
    world.close_alert(2)
    sync(world, phone)
    _whole(world, other)
    world.check_database(every_moment=True)


def wiped_while_holding(world: World, phone: Phone, sync: Any) -> None:
    """A phone is told to wipe itself while it holds a briefing and a note that only it has."""
    _briefed(world, phone, 0)
    world.write(phone, 1)
    world.order_wipe(phone)
    sync(world, phone)
    world.check_database(every_moment=True)


def straggling_pull(world: World, phone: Phone, sync: Any) -> None:
    """A phone asks for its briefing, dies, asks again and gets it; only then the first request arrives."""
    _synced(world, phone, 0)
    for child in (1, 2):
        world.write(phone, child)
    world.sync(phone, 50, 1, lease=True)
    _until_asked(world, phone, "pull")
    world.die(phone)
    straggler = world.network[-1]
    world.pass_time(1)
    _briefed(world, phone, None)
    world.deliver(straggler)
    world.check_database(every_moment=True)
    sync(world, phone)


def words_change(world: World, phone: Phone, sync: Any) -> None:
    """Other words and boroughs are sent out; a row of them is no more."""
    world.publish(1)
    _whole(world, phone)
    world.publish(2)
    sync(world, phone)


def old_and_released(world: World, phone: Phone, sync: Any) -> None:
    """An old release of the phone wrote a note; what a revoked phone hands in is released by a person, the withdrawal
    before the note that it is of."""
    world.write(phone, 0, "old")
    _whole(world, phone)
    world.write(phone, 1)
    world.follow_up(phone, 1, withdraw=True)
    world.revoke(phone)
    sync(world, phone)
    for which in (1, 0, 0):
        world.release(which)
        world.check_database()


SCRIPTS: tuple[Script, ...] = (
    notes, receipts_lost, bad_among_good, server_restored, forgotten, numbers_taken, cloned, revoked, withdrawn_first,
    taken_by_a_clone, restored_between, written_while_wiping, lease_over, lease_over_unseen, lease_answer_late,
    lease_not_prolonged, child_moves, wiped_while_holding, straggling_pull, words_change, old_and_released,
)  # fmt: skip


def _whole(world: World, phone: Phone, *, lease: bool = False) -> None:
    world.sync(phone, 50, lease=lease)
    world.run_until_idle(phone)


def _briefed(world: World, phone: Phone, child: int | None) -> None:
    """Its officer has written about a child, and opens the briefing of the ward."""
    if child is not None:
        world.write(phone, child)
    _whole(world, phone)
    _whole(world, phone, lease=True)


def _until_asked(world: World, phone: Phone, door: str) -> None:
    """Deliver what this phone asks until it asks at that door."""
    for _ in range(TURNS_MAX):
        if not isinstance(phone.waiting, Call) or phone.waiting.door == door:
            return
        world.deliver(world.network[-1])
    raise AssertionError("the phone never asks that")


def _synced(world: World, phone: Phone, child: int) -> None:
    world.write(phone, child)
    _whole(world, phone)


def _backed_up(world: World) -> None:
    world.begin_backup()
    world.complete_backup()


def dying_at(script: Script, engine: Engine, boundary: int) -> bool:
    """Tell it with a phone that dies at that boundary of its sync. Whether it got so far. Raises Violation."""

    def sync(world: World, phone: Phone, ending: str | None = None, ops: int = 1) -> None:
        world.sync(phone, ops, 1, dies_in=boundary)
        _on_the_wire(world, phone, 0 if ending else None, ending)

    with closing(World(engine, boundary)) as world:
        script(world, world.phones["okafor-1"], sync)
        world.drain()
        return any(" dies: " in line for line in world.history)


def ending(script: Script, engine: Engine, number: int, how: str) -> bool:
    """Tell it with push `number` of the sync ending so. Whether there were so many. Raises Violation."""
    met = False

    def sync(world: World, phone: Phone, _also: str | None = None, ops: int = 1) -> None:
        nonlocal met
        world.sync(phone, ops, 1)
        met = _on_the_wire(world, phone, number, how)

    with closing(World(engine, number)) as world:
        script(world, world.phones["okafor-1"], sync)
        world.drain()
    return met


def _on_the_wire(world: World, phone: Phone, number: int | None, how: str | None) -> bool:
    """Deliver all that the phone asks, push `number` (from 0) of it ending as `how` says. Whether it came to it."""
    pushes, met = 0, False
    for _ in range(TURNS_MAX):
        if not phone.alive or not phone.syncing:
            return met
        if isinstance(phone.waiting, Pause):
            world.wake(phone)
            continue
        if not world.server.up:
            world.restart()
        message = world.network[-1] if world.network else None
        if message is None:
            world.give_up(phone)
        elif message.answer is None and message.call.door == "push":
            met = met or pushes == number
            _push(world, message, how if pushes == number else None)
            pushes += 1
        else:
            world.deliver(message)
    raise AssertionError("the story does not end")


def _push(world: World, message: Any, how: str | None) -> None:
    if how == LOST_REQUEST:
        world.drop(message)
    elif how == LOST_ANSWER:
        world.deliver(message)
        world.network.clear()
    elif how == TWICE:
        world.deliver(message, keep=True)
        world.deliver(message)
    elif how == NO_RECEIPT:
        world.deliver(message)
        answer = world.network[-1]
        if isinstance(answer.answer, PushAnswer):
            answer.answer = msgspec.structs.replace(answer.answer, receipt=None)
    else:
        world.deliver(message, how or "well")


def every_ending(script: Script, engine: Engine) -> tuple[int, int]:
    """Tell it for every boundary and every ending of every push. (Boundaries, endings) that there were."""
    boundary = 0
    while dying_at(script, engine, boundary):
        boundary += 1
        assert boundary < BOUNDARIES_MAX
    told = 0
    for how in ENDINGS:
        number = 0
        while ending(script, engine, number, how):
            number += 1
            told += 1
    return boundary, told
