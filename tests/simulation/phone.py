"""A simulated phone: the real device, outbox and sync over a store in memory that outlives every crash.

A sync runs in a greenlet. It comes back to the world wherever it waits (for an answer, for time to pass), and the
world sends it on, or kills it. At each boundary (a named point of the sync; before and after each commit of the
store) it can die: what was not committed is gone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from greenlet import GreenletExit, greenlet

from client_stub.conversation import Patience, Report
from client_stub.database import StoreError
from client_stub.device import Device, Surroundings
from client_stub.protection import Description, Protection
from client_stub.standing import Identity
from client_stub.store import Store
from client_stub.syncing import Sync
from client_stub.transport import NoSignal, Token, Transport
from sync.envelope import Condition, Hello, PullAnswer, PullRequest, PushAnswer


class Died(BaseException):
    """The phone's process ended here, as by a flat battery."""


class Call(msgspec.Struct, frozen=True):
    """A request on its way: the door (token, hello, push, pull, condition) and what was said there."""

    door: str
    token: str
    said: Any = None


class Pause(msgspec.Struct, frozen=True):
    """The phone waits for time to pass."""

    seconds: float


Waiting = Call | Pause


class MemoryStore(Store):
    """The phone's real store in memory. `boundary` is called around each commit; `wrote` hears each new line."""

    def __init__(
        self,
        boundary: Callable[[str], None],
        wrote: Callable[[bytes], None],
        inode: str,
        source: sqlite3.Connection | None = None,
    ) -> None:
        self.folder = Path("simulated")
        self.protection = Protection.NONE
        self._description = Description(protection=Protection.NONE, store_id="simulated")
        self._errors = sqlite3.Error
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        if source is not None:
            source.backup(self._connection)
        self._boundary, self._wrote, self._inode = boundary, wrote, inode
        self._new_lines: list[bytes] = []
        self._syncing = self.wiped = False
        self._prepare()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._new_lines = []
        with super().transaction():
            yield
            self._boundary("before commit")
        for line in self._new_lines:
            self._wrote(line)
        self._boundary("after commit")

    @contextmanager
    def only_one_sync(self) -> Iterator[None]:
        if self._syncing:
            raise StoreError("Another sync of this device is running.", "Wait until it has ended.")
        self._syncing = True
        try:
            yield
        finally:
            self._syncing = False

    def append(self, *, freeze: Callable[[int], tuple[bytes, str]], **named: Any) -> int:
        def kept(seq: int) -> tuple[bytes, str]:
            line, digest = freeze(seq)
            self._new_lines.append(line)
            return line, digest

        return super().append(freeze=kept, **named)

    def file_identity(self) -> str:
        return self._inode

    def erase(self, wiped_at: int, why: str) -> None:
        self.close()
        self.wiped = True

    def copied(self) -> sqlite3.Connection:
        """What a backup or a clone of the phone holds."""
        copy = sqlite3.connect(":memory:", isolation_level=None)
        self._connection.backup(copy)
        return copy

    def lines_held(self) -> set[bytes]:
        """Every line whose bytes the phone still has and would send or has sent."""
        return {bytes(line) for (line,) in self.every("SELECT line FROM outbox WHERE line IS NOT NULL")}


class Wire(Transport):
    """A transport whose every request stops the phone until the world has an answer."""

    def __init__(self, phone: Phone) -> None:
        self.server = "http://127.0.0.1:8000"
        self._phone = phone

    def token(self, assertion: str) -> Token:
        answer: Token = self._phone.ask(Call("token", "", assertion))
        return answer

    def hello(self, token: str) -> Hello:
        answer: Hello = self._phone.ask(Call("hello", token))
        return answer

    def push(self, token: str, body: bytes, encodings: Sequence[str] = ()) -> PushAnswer:
        answer: PushAnswer = self._phone.ask(Call("push", token, body))
        return answer

    def condition(self, token: str, condition: Condition) -> None:
        self._phone.ask(Call("condition", token, condition))

    def pull(self, token: str, request: PullRequest) -> PullAnswer:
        few = msgspec.structs.replace(request, limit=min(request.limit, self._phone.rows_per_pull))
        answer: PullAnswer = self._phone.ask(Call("pull", token, few))
        return answer


class Phone:
    """One phone that somebody holds. `alive` until it is lost, replaced or wiped."""

    def __init__(
        self,
        name: str,
        rng: Random,
        now_ms: Callable[[], int],
        wrote: Callable[[bytes], None],
        *,
        inode: str,
        source: sqlite3.Connection | None = None,
    ) -> None:
        self.name = name
        self.alive = True
        self.clock_offset_ms = 0
        self.dies_in: int | None = None
        """After so many boundaries more the phone dies."""
        self.waiting: Waiting | None = None
        self._device_id: str | None = None
        self.report: Report | None = None
        self.on_commit: Callable[[], None] | None = None
        self.rows_per_pull = 1
        self._true_ms = now_ms
        self.boot, self._booted_at = f"boot-{rng.getrandbits(32):08x}", now_ms()
        self._run: greenlet | None = None
        self.store = MemoryStore(self.boundary, wrote, inode, source)
        self.device = Device(
            self.store,
            Surroundings(
                now_ms=lambda: now_ms() + self.clock_offset_ms,
                sleep=lambda seconds: self.ask(Pause(seconds)),
                monotonic_ms=self.monotonic_ms,
                boot_id=lambda: self.boot,
                random=rng.random,
                new_epoch=lambda: f"{rng.getrandbits(96):024x}",
                new_id=lambda: _uuid(rng),
                reached=self.boundary,
            ),
        )
        if source is not None:
            self._device_id = self.device.enrolled().device_id

    def enrol(self, identity: Identity, private_key: str) -> None:
        """Put in place what an enrolment leaves on the phone."""
        with self.store.transaction():
            self.store.put("private_key", private_key)
            self.store.put("identity", msgspec.json.encode(identity).decode())
            self.device.start_epoch()
        self._device_id = identity.device_id

    @property
    def enrolled_as(self) -> str:
        """Its id, also when nothing is left on it."""
        assert self._device_id is not None
        return self._device_id

    @property
    def gone(self) -> bool:
        """Whether nothing can be read from it any more."""
        return not self.alive or self.store.wiped

    # Its clocks

    def monotonic_ms(self) -> int:
        return self._true_ms() - self._booted_at

    def wall_ms(self) -> int:
        """The server's time, as well as the phone knows it."""
        return self._true_ms() + self.clock_offset_ms + int(self.store.get("clock_offset_ms") or 0)

    def boot_again(self) -> None:
        """Switched off and on: whatever ran is gone, and the monotonic clock begins anew."""
        self.kill()
        self.boot, self._booted_at = f"{self.boot}'", self._true_ms()

    def goes_on_from(self, other: Phone) -> None:
        """It is the same machine, not switched off since, and its files are others."""
        self.boot, self._booted_at, self.clock_offset_ms = other.boot, other._booted_at, other.clock_offset_ms

    @property
    def syncing(self) -> bool:
        return self._run is not None

    def boundary(self, point: str) -> None:
        """Die here if the countdown has come to its end."""
        if point == "after commit" and self.on_commit is not None:
            self.on_commit()
        if self.dies_in is not None:
            self.dies_in -= 1
            if self.dies_in < 0:
                self.dies_in = None
                raise Died(point)

    def start_sync(self, ops_per_push: int, rows_per_pull: int, begin_lease: bool = False) -> None:
        """Begin a sync; it runs until it waits for something."""
        self.rows_per_pull = rows_per_pull
        patience = Patience(tries_max=3, ops_per_push=ops_per_push)
        self.report = None

        def run() -> None:
            self.report = Sync(self.device, Wire(self), patience=patience, begin_lease=begin_lease).run()

        self._run = greenlet(run)
        self._go(self._run.switch)

    def resume(self, answer: Any) -> None:
        """Go on with an answer, or after a pause; an exception is raised where the phone waits."""
        assert self._run is not None
        if isinstance(answer, BaseException):
            self._go(self._run.throw, answer)
        else:
            self._go(self._run.switch, answer)

    def lose_signal(self) -> None:
        """The phone stops waiting for its answer."""
        self.resume(NoSignal("The server did not answer."))

    def kill(self) -> None:
        """End the process at once, wherever it is; what is on disk stays."""
        self.dies_in = None
        if self._run is not None:
            run, self._run, self.waiting = self._run, None, None
            run.throw(GreenletExit)
        if self.store.wiped:
            self.alive = False

    def end(self) -> None:
        """The phone is gone for good."""
        self.kill()
        self.alive = False
        if not self.store.wiped:
            self.store.close()

    def ask(self, what: Waiting) -> Any:
        """Called in the phone's greenlet: stop until the world goes on."""
        run = self._run
        if run is None or run.parent is None:
            return None  # a pause outside of a sync
        return run.parent.switch(what)

    def _go(self, step: Callable[..., Any], *answer: Any) -> None:
        run = self._run
        try:
            self.waiting = step(*answer)
        except Died:
            self.waiting = None
            self._run = None
            raise
        assert run is not None
        if run.dead:
            self._run = self.waiting = None
            if self.store.wiped:
                self.alive = False


def _uuid(rng: Random) -> str:
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def lines_of(body: bytes) -> list[bytes]:
    return [line for line in body.split(b"\n") if line.strip()]


def damaged(body: bytes, index: int, *, deep: bool) -> bytes:
    """The body of a push with one line changed on its way: no JSON any more, or (`deep`) other words in the note."""
    lines = lines_of(body)
    at = index % len(lines)
    lines[at] = lines[at].replace(b"recorded_at", b"recorded_aT", 1) if deep else b"x" + lines[at][1:]
    return b"".join(line + b"\n" for line in lines)
