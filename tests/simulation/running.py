"""Runs drawn from a seed: which event comes next, what it does to whom, and the story of a failure."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from sync.envelope import PushAnswer
from tests.simulation.engines import Engine
from tests.simulation.oracle import Violation
from tests.simulation.server import DIES_AFTER, DIES_BEFORE, FAILS
from tests.simulation.world import Message, World

CHECK_EVERY = 40
"""Events between two comparisons of the whole database with the oracle: each reads every row."""
STORY_LINES = 400


class Outcome(msgspec.Struct, frozen=True):
    """What a run came to. Two runs of one seed are equal."""

    steps: int
    history: str
    state: str


class Failure(Exception):
    """A run found something. Its text is the story, with the command that tells it again."""

    def __init__(self, text: str, number: int | None) -> None:
        super().__init__(text)
        self.number = number


class Runner:
    """Draws events for one world. What it draws depends on the seed and on what happened, never on chance."""

    def __init__(self, world: World, seed: int, *, clocks: bool = True) -> None:
        self.world = world
        self.clocks = clocks
        self._draw = random.Random(f"events {seed}")
        self._events: list[tuple[int, Callable[[], None]]] = [
            (60, self._deliver), (10, self._sync), (9, self._write), (4, self._follow_up), (2, self._drop),
            (2, self._give_up), (8, self._wake), (2, self._twice), (1, self._die), (2, self._pass_time),
            (2, self._server_dies), (1, self._damage), (1, self._strip), (1, self._backup), (1, self._restore),
            (2, self._acknowledge), (1, self._snapshot), (1, self._clone), (1, self._roll_back), (1, self._clock),
            (5, self._open_briefing), (3, self._look), (1, self._close_alert), (1, self._restrict),
            (1, self._publish), (1, self._release), (1, self._boot),
        ]  # fmt: skip
        self._rare: list[Callable[[], None]] = [self._revoke, self._lose, self._order_wipe]
        self._published = 0

    def run(self, steps: int) -> None:
        events = [event for _, event in self._events]
        weights = [weight for weight, _ in self._events]
        for number in range(steps):
            self.world.now += self._draw.randrange(1, 500)
            if self._draw.randrange(150) == 0:
                self._draw.choice(self._rare)()
            else:
                self._draw.choices(events, weights)[0]()
            if number % CHECK_EVERY == 0:
                self.world.check_database()
                self.world.check_nothing_lost()
        self.world.drain()

    def _one(self, among: list[Any]) -> Any:
        return self._draw.choice(among) if among else None

    def _dies_in(self, most: int) -> int | None:
        return self._draw.randrange(most) if self._draw.randrange(8) == 0 else None

    def _deliver(self) -> None:
        if not self.world.server.up and self._draw.randrange(3) == 0:
            self.world.restart()
        message = self._one(
            self._awaited() or self.world.network if self._draw.randrange(4) else self.world.network
        )
        if message is not None:
            self.world.deliver(message)

    def _awaited(self) -> list[Message]:
        """What phones wait for: three deliveries of four are of these, or a run would be all stragglers."""
        waiting = {phone.name for phone in self.world.waiting_for_an_answer()}
        return [message for message in self.world.network if message.phone in waiting]

    def _twice(self) -> None:
        message = self._one(self.world.network)
        if message is not None:
            self.world.deliver(message, keep=True)

    def _server_dies(self) -> None:
        if not self.world.server.up:
            return
        doors = ("push", "push", "pull", "condition")
        door = self._draw.choice(doors)
        requests = [message for message in self.world.requests() if message.call.door == door]
        message = self._one(requests)
        if message is not None:
            self.world.deliver(message, self._draw.choice([DIES_BEFORE, DIES_AFTER, FAILS]))

    def _drop(self) -> None:
        message = self._one(self.world.network)
        if message is not None:
            self.world.drop(message)

    def _damage(self) -> None:
        message = self._one([m for m in self.world.requests() if m.call.door == "push"])
        if message is not None:
            self.world.damage(message, self._draw.randrange(9), deep=self._draw.randrange(2) == 0)

    def _strip(self) -> None:
        message = self._one([m for m in self.world.answers() if isinstance(m.answer, PushAnswer)])
        if message is not None:
            self.world.strip_receipt(message)

    def _sync(self) -> None:
        phone = self._one(self.world.idle())
        if phone is not None:
            self.world.sync(
                phone, self._draw.choice([1, 2, 3, 50]), self._draw.choice([1, 2, 50]), self._dies_in(40)
            )

    def _write(self) -> None:
        phone = self._one(self.world.living())
        if phone is not None:
            nature = self._draw.choices(["good", "bug", "newer", "old", "poison"], [40, 2, 1, 3, 1])[0]
            self.world.write(phone, self._draw.randrange(4), nature, self._dies_in(4))

    def _follow_up(self) -> None:
        phone = self._one(self.world.living())
        if phone is not None:
            withdraw = self._draw.randrange(4) == 0
            self.world.follow_up(
                phone, self._draw.randrange(1_000), withdraw=withdraw, dies_in=self._dies_in(4)
            )

    def _give_up(self) -> None:
        phone = self._one(self.world.waiting_for_an_answer())
        if phone is not None:
            self.world.give_up(phone)

    def _wake(self) -> None:
        phone = self._one(self.world.pausing())
        if phone is not None:
            self.world.wake(phone)

    def _die(self) -> None:
        phone = self._one(self.world.waiting_for_an_answer())
        if phone is not None:
            self.world.die(phone)

    def _pass_time(self) -> None:
        self.world.pass_time(self._draw.choice([1, 60, 3_600, 3_600, 3 * 3_600, 30 * 3_600]))

    def _backup(self) -> None:
        if self.world.copied is not None:
            self.world.complete_backup()
        else:
            self.world.begin_backup()

    def _restore(self) -> None:
        if self.world.backup is not None and self._draw.randrange(3) == 0:
            self.world.restore()

    def _acknowledge(self) -> None:
        if self.world.server.up:
            self.world.acknowledge(self._draw.randrange(1_000))

    def _snapshot(self) -> None:
        phone = self._one(self.world.living())
        if phone is not None:
            self.world.keep_snapshot(phone)

    def _clone(self) -> None:
        phone = self._one(self.world.living())
        if phone is not None and self._draw.randrange(2) == 0:
            self.world.clone(phone, imaged=self._draw.randrange(2) == 0)

    def _roll_back(self) -> None:
        phone = self._one(self.world.living())
        if phone is not None and self._draw.randrange(2) == 0:
            self.world.roll_back(phone, same_disk=self._draw.randrange(2) == 0)

    def _clock(self) -> None:
        phone = self._one(self.world.living())
        hours = self._draw.choice([-26_280, -1, 0, 0, 1, 26_280])
        if phone is not None and self.clocks:
            self.world.jump_clock(phone, hours)

    def _revoke(self) -> None:
        phone = self._one(self.world.living())
        if phone is not None:
            self.world.revoke(phone)

    def _open_briefing(self) -> None:
        phone = self._one(self.world.idle())
        if phone is not None:
            rows = self._draw.choice([1, 2, 50])
            self.world.sync(phone, self._draw.choice([1, 50]), rows, self._dies_in(40), lease=True)

    def _look(self) -> None:
        phone = self._one(self.world.living())
        if phone is not None:
            self.world.look(phone)

    def _boot(self) -> None:
        phone = self._one(self.world.living())
        if phone is not None and self._draw.randrange(2) == 0:
            self.world.boot_again(phone)

    def _close_alert(self) -> None:
        if self.world.server.up:
            self.world.close_alert(self._draw.randrange(1_000))

    def _restrict(self) -> None:
        if self.world.server.up and self._draw.randrange(2) == 0:
            self.world.restrict(self._draw.randrange(1_000))

    def _publish(self) -> None:
        if self.world.server.up and self._draw.randrange(2) == 0:
            self._published += 1
            self.world.publish(self._published)

    def _release(self) -> None:
        if self.world.server.up:
            self.world.release(self._draw.randrange(1_000))

    def _order_wipe(self) -> None:
        phone = self._one(self.world.living())
        if phone is not None and self._draw.randrange(2) == 0:
            self.world.order_wipe(phone)

    def _lose(self) -> None:
        if len(self.world.living()) > 2:
            self.world.lose(self._one(self.world.living()))


def run(engine: Engine, seed: int, steps: int, *, clocks: bool = True) -> Outcome:
    """One run of so many events, and the drain. Raises Failure with the story."""
    world = World(engine, seed)
    try:
        Runner(world, seed, clocks=clocks).run(steps)
        return Outcome(steps, world.digest(), world.end_state())
    except Exception as error:
        raise Failure(
            story(world, seed, steps, engine.name, error), getattr(error, "number", None)
        ) from error
    finally:
        with suppress(Exception):
            world.close()


def story(world: World, seed: int, steps: int, engine: str, error: Exception) -> str:
    """Who did what, what was expected and found, and how to see it again."""
    found = str(error) if isinstance(error, Violation) else f"{type(error).__name__}: {error}"
    lines = world.history[-STORY_LINES:]
    left_out = len(world.history) - len(lines)
    head = [f"({left_out} lines before)"] if left_out else []
    command = f"python -m tests.simulation --seed {seed} --steps {steps} --engine {engine}"
    return "\n".join(["", *head, *lines, f"FOUND  {found}", f"AGAIN  {command}"])


def measured(engine: Engine, seeds: range, steps: int, tell: Callable[[str], None]) -> None:
    """Run seeds one after another and say how fast it went. Raises Failure."""
    began, cpu = time.perf_counter(), time.process_time()
    for seed in seeds:
        outcome = run(engine, seed, steps)
        tell(f"seed {seed}: {steps} steps, history {outcome.history[:12]}, end {outcome.state[:12]}")
    seconds = time.perf_counter() - began
    done = steps * len(seeds)
    tell(
        f"{done} steps in {seconds:.1f} s: {done / seconds:.0f} steps/s ({time.process_time() - cpu:.1f} s of CPU)"
    )


def fail(failure: Failure) -> int:
    """Print the story of a failure; the exit code."""
    print(failure, file=sys.stderr)
    return 1
