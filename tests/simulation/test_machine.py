"""The same world under Hypothesis, which finds the shortest way to a fault."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.simulation.engines import Sqlite
from tests.simulation.phone import Pause
from tests.simulation.server import DIES_AFTER, DIES_BEFORE, FAILS, WELL
from tests.simulation.world import World

WHICH = st.integers(0, 6)
DEATHS = st.none() | st.integers(0, 30)


@pytest.mark.invariant(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 16)
class SyncMachine(RuleBasedStateMachine):
    """Each rule is an event of the world; what must hold is checked by the world itself."""

    world: World

    @initialize()
    def begin(self) -> None:
        self.world = World(Sqlite(), seed=0)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.world.drain()
        finally:
            self.world.close()

    def _one(self, among: list[Any], which: int) -> Any:
        return among[which % len(among)] if among else None

    @rule(
        which=WHICH,
        child=st.integers(0, 3),
        nature=st.sampled_from(["good", "good", "bug", "newer", "old", "poison"]),
    )
    def write(self, which: int, child: int, nature: str) -> None:
        if phone := self._one(self.world.living(), which):
            self.world.write(phone, child, nature)

    @rule(which=WHICH, note=WHICH, withdraw=st.booleans())
    def follow_up(self, which: int, note: int, withdraw: bool) -> None:
        if phone := self._one(self.world.living(), which):
            self.world.follow_up(phone, note, withdraw=withdraw)

    @rule(which=WHICH, ops=st.sampled_from([1, 2, 50]), rows=st.sampled_from([1, 50]), dies_in=DEATHS)
    def sync(self, which: int, ops: int, rows: int, dies_in: int | None) -> None:
        if phone := self._one(self.world.idle(), which):
            self.world.sync(phone, ops, rows, dies_in)

    @rule(which=WHICH, ops=st.sampled_from([1, 50]), lease=st.booleans())
    def sync_whole(self, which: int, ops: int, lease: bool) -> None:
        if (phone := self._one(self.world.idle(), which)) and self.world.server.up:
            self.world.sync(phone, ops, lease=lease)
            self.world.run_until_idle(phone)

    @rule(which=WHICH)
    def look(self, which: int) -> None:
        if phone := self._one(self.world.living(), which):
            self.world.look(phone)

    @rule(which=WHICH)
    def boot_again(self, which: int) -> None:
        if phone := self._one(self.world.living(), which):
            self.world.boot_again(phone)

    @rule(which=WHICH)
    def close_alert(self, which: int) -> None:
        self.world.close_alert(which)

    @rule(which=WHICH)
    def restrict(self, which: int) -> None:
        self.world.restrict(which)

    @rule(number=st.integers(1, 9))
    def publish(self, number: int) -> None:
        self.world.publish(number)

    @rule(which=WHICH)
    def release(self, which: int) -> None:
        self.world.release(which)

    @precondition(lambda self: self.world.network)
    @rule(
        which=WHICH,
        keep=st.booleans(),
        fate=st.sampled_from([WELL, WELL, WELL, FAILS, DIES_BEFORE, DIES_AFTER]),
    )
    def deliver(self, which: int, keep: bool, fate: str) -> None:
        message = self._one(self.world.network, which)
        may_fail = message.answer is None and message.call.door in ("push", "pull", "condition")
        self.world.deliver(message, fate if may_fail else WELL, keep=keep)

    @precondition(lambda self: self.world.network)
    @rule(which=WHICH)
    def drop(self, which: int) -> None:
        self.world.drop(self._one(self.world.network, which))

    @rule(which=WHICH)
    def give_up(self, which: int) -> None:
        if phone := self._one(self.world.waiting_for_an_answer(), which):
            self.world.give_up(phone)

    @rule(which=WHICH)
    def wake_or_kill(self, which: int) -> None:
        phone = self._one([phone for phone in self.world.living() if phone.syncing], which)
        if phone is not None and isinstance(phone.waiting, Pause):
            self.world.wake(phone)
        elif phone is not None:
            self.world.die(phone)

    @precondition(lambda self: not self.world.server.up)
    @rule()
    def restart(self) -> None:
        self.world.restart()

    @rule(complete=st.booleans())
    def back_up(self, complete: bool) -> None:
        if self.world.copied is None:
            self.world.begin_backup()
        if complete:
            self.world.complete_backup()

    @precondition(lambda self: self.world.backup is not None)
    @rule()
    def restore(self) -> None:
        self.world.restore()

    @rule(which=WHICH)
    def snapshot(self, which: int) -> None:
        if phone := self._one(self.world.living(), which):
            self.world.keep_snapshot(phone)

    @rule(which=WHICH, same_disk=st.booleans())
    def roll_back(self, which: int, same_disk: bool) -> None:
        if phone := self._one(self.world.living(), which):
            self.world.roll_back(phone, same_disk=same_disk)

    @rule(which=WHICH, imaged=st.booleans())
    def clone(self, which: int, imaged: bool) -> None:
        if phone := self._one(self.world.living(), which):
            self.world.clone(phone, imaged=imaged)

    @rule(which=WHICH)
    def acknowledge(self, which: int) -> None:
        self.world.acknowledge(which)

    @rule(which=WHICH, gently=st.booleans())
    def revoke(self, which: int, gently: bool) -> None:
        if phone := self._one(self.world.living(), which):
            self.world.order_wipe(phone) if gently else self.world.revoke(phone)

    @rule(hours=st.sampled_from([1, 30]))
    def pass_time(self, hours: int) -> None:
        self.world.pass_time(hours * 3_600)

    @invariant()
    def nothing_is_lost(self) -> None:
        if hasattr(self, "world"):
            self.world.check_nothing_lost()


FEW = settings(
    derandomize=True,  # chance has its place in `python -m tests.simulation`, which prints its seed
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
MANY = settings(FEW, max_examples=600, stateful_step_count=80)

TestMachine = SyncMachine.TestCase
TestMachine.settings = FEW


@pytest.mark.slow
@pytest.mark.timeout(900)
class TestMachineAtDepth(SyncMachine.TestCase):  # type: ignore[valid-type, misc]
    settings = MANY
