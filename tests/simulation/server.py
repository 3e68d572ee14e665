"""The server without HTTP: its real doors, guard, intake and records, on a real store, one request at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import msgspec

from client_stub.transport import (
    Busy,
    ClockWrong,
    Refused,
    Revoked,
    Token,
    TokenOver,
    TooLarge,
    TransportError,
)
from server.access import devices
from server.access.errors import AccessError
from server.access.signing import SigningKey
from server.casework.pack import default_pack
from server.checkpoints import Totals
from server.http import at_once, auth, problems, receiving
from server.http import devices as device_doors
from server.http import sync as sync_doors
from server.http.answered import BODY_KEY, Answered, key_of
from server.http.notes_first import NotesFirst, OnePush
from server.http.problems import Problem
from server.http.services import Services
from server.jobs import backup
from server.records import ledger, note_subjects, reference
from server.settings import Settings
from server.storage import StorageUnavailable, Store, Transaction, WouldWait
from server.world import Worlds
from sync.envelope import PullAnswer, PushAnswer
from tests.road import REGISTRY
from tests.simulation.engines import Engine
from tests.simulation.phone import Call

T = TypeVar("T")

SECRET = bytes(range(32))
SETTINGS = Settings(briefing_hours=2)
WELL, FAILS, DIES_BEFORE, DIES_AFTER = "well", "fails", "dies before commit", "dies after commit"
"""How a request ends: answered; with a commit that the database refuses; with a server that dies around it."""
DOORS: dict[str, Any] = {
    "hello": sync_doors.hello, "push": sync_doors.push, "pull": sync_doors.pull, "condition": sync_doors.condition,
}  # fmt: skip
DOORS_WITH_CLOCKS: tuple[Any, ...] = (sync_doors, device_doors, auth, receiving, at_once)


class Unexpected(Exception):
    """A door raised what no door should raise."""


class _Inline:
    """The store as the doors see it: its work is done before the coroutine goes on."""

    def __init__(self, server: SimServer) -> None:
        self._server = server

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """What a read writes at its end (who was shown what) fails as a write does."""
        return self._with_fate(self._server.store.read_now, work)

    async def read_recorded(self, work: Callable[[Transaction], T]) -> T:
        return await self.read(work)

    def glance(self, work: Callable[[Transaction], T]) -> T:
        """On a file SQLite gives one; here the database is in memory, and a read is as good."""
        if self._server.store.read_now(_several_write):
            raise WouldWait("PostgreSQL is across a network.")
        return self._server.store.read_now(work)

    async def read_durable(self, work: Callable[[Transaction], T]) -> T:
        return await (self.write(work) if self._server.store.read_now(_several_write) else self.read(work))

    async def write(self, work: Callable[[Transaction], T]) -> T:
        return self._with_fate(self._server.store.write_now, work)

    def _with_fate(
        self, run: Callable[[Callable[[Transaction], T]], T], work: Callable[[Transaction], T]
    ) -> T:
        server = self._server
        if server.fate in (FAILS, DIES_BEFORE):
            with server.engine.commit_fails(server.store):
                return run(work)
        return run(work)


class Copied:
    """A backup on its way: what it promises was read before the copy was made."""

    def __init__(self, marks: list[tuple[int, int]], copy: Any, begun_at: int) -> None:
        self.marks, self.copy, self.begun_at = marks, copy, begun_at


def _several_write(tx: Transaction) -> bool:
    return not tx.sole_writer


class SimServer:
    """One server process after another over one database."""

    def __init__(self, engine: Engine, now_ms: Callable[[], int], new_id: Callable[[], str]) -> None:
        self.engine = engine
        self.store: Store = engine.fresh()
        self.now_ms, self._new_id = now_ms, new_id
        self.fate = WELL
        self.committed = False
        """Whether the last request went all the way, its commit included."""
        self.answered: Any = None
        """What the last request came to, whether or not it left the server."""
        self.receipt_key = SigningKey(SECRET)
        self.start()

    def start(self) -> None:
        """A new process: nothing in memory but what it reads now."""
        self.up = True
        self.incarnation = self.store.write_now(lambda tx: reference.incarnation(tx, self._new_id))
        self.worlds = Worlds(default_pack())
        self.services = cast(
            Services,
            SimpleNamespace(
                settings=SETTINGS,
                store=_Inline(self),
                worlds=self.worlds,
                incarnation=self.incarnation,
                cursor_key=SECRET,
                receipt_key=self.receipt_key,
                notes_first=NotesFirst(),
                one_push=OnePush(),
                totals=Totals(),
                answered=Answered(),
                ahead=None,
            ),
        )

    def serve(self, call: Call, fate: str = WELL) -> Any:
        """The answer to a request, a TransportError that a phone would make of it, or None where none leaves.

        Raises Unexpected.
        """
        self.committed, self.answered = False, None
        if not self.up:
            return None
        self.fate = fate
        try:
            answer = self.answered = self._answer(call)
            self.committed = fate in (WELL, DIES_AFTER)
        except StorageUnavailable:
            answer = Busy("The server is busy.", None, "") if fate != DIES_BEFORE else None
        except (Problem, AccessError) as refusal:
            answer = _as_the_phone_sees_it(refusal)
        except Exception as error:
            raise Unexpected(f"{call.door} raised {type(error).__name__}: {error}") from error
        finally:
            self.fate = WELL
        if fate in (DIES_BEFORE, DIES_AFTER):
            self.up = False
        return None if fate == DIES_AFTER else answer

    def _answer(self, call: Call) -> Any:
        with _Clock(self.now_ms):
            if call.door == "token":
                asked = device_doors.TokenRequest(grant_type=device_doors.JWT_BEARER, assertion=call.said)
                given: Any = finished(device_doors.token.fn(data=asked, services=self.services)).content
                return Token(access_token=given.access_token, expires_in=given.expires_in)
            if call.door == "pull":
                known = finished(at_once.nothing_new(self.services, call.token, call.said))
                if known is not None:
                    return msgspec.json.decode(known, type=PullAnswer)
            elif call.door == "push":
                said_before = finished(at_once.said_before(self.services, call.token, key_of("", call.said)))
                if said_before is not None:
                    return msgspec.json.decode(said_before, type=PushAnswer)
            handler = DOORS[call.door]
            connection = SimpleNamespace(
                headers={"authorization": f"Bearer {call.token}"},
                app=SimpleNamespace(state=SimpleNamespace(services=self.services)),
                scope={},
            )
            finished(auth.authenticate(cast(Any, connection), handler))
            device = connection.scope["user"]
            said: dict[str, Any] = {"device": device, "services": self.services}
            if call.door == "push":
                said["request"] = SimpleNamespace(
                    headers={},
                    stream=lambda: _pieces(call.said),
                    scope={"state": {BODY_KEY: key_of("", call.said)}},
                )
            elif call.door in ("pull", "condition"):
                said["data"] = call.said
            answer = finished(handler.fn(**said))
            return True if call.door == "condition" else answer

    def identity(self, device_id: str) -> Any:
        return self.store.read_now(lambda tx: devices.by_id(tx, device_id))

    def revoke(self, device_id: str) -> None:
        now = self.now_ms()
        self.store.write_now(lambda tx: devices.revoke(tx, device_id, actor=REGISTRY, now=now))

    def copy(self) -> Copied:
        """The first half of `earlysign backup`."""
        marks = backup.begin(self.store)
        return Copied(marks, self.engine.copy(self.store), self.now_ms())

    def keep(self, copied: Copied) -> None:
        """The second half: the copy is whole and on disk, and phones may forget what it holds."""
        done = ledger.Backup(name=f"earlysign-{copied.begun_at}", begun_at=copied.begun_at)
        now = self.now_ms()
        self.store.write_now(lambda tx: ledger.backed_up(tx, REGISTRY, done, copied.marks, now=now))

    def restore(self, copied: Copied) -> None:
        """`earlysign restore`, and the server is started again."""
        self.store.close_now()
        self.store = self.engine.from_copy(copied.copy)
        self.store.write_now(lambda tx: backup.begin_again(tx, self._new_id))
        self.start()

    def texts(self) -> list[tuple[str, str]]:
        """(note id, what was seen or heard) of every note, as it is read to be shown."""

        def read(tx: Transaction) -> list[tuple[str, str]]:
            found = tx.rows(
                "SELECT n.note_id, s.subject_id FROM note n JOIN subject s ON s.note_key = n.note_key"
            )
            return [
                (note_id, note_subjects.body_of_subject(tx, subject_id)[0].saw_or_heard)
                for note_id, subject_id in found
            ]

        return self.store.read_now(read)

    def rows(self, sql: str, **params: object) -> list[tuple[Any, ...]]:
        return self.store.read_now(lambda tx: tx.rows(sql, params))


class _Clock:
    """In the block the doors' clock is the world's."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._real = [(module, module.now_ms) for module in DOORS_WITH_CLOCKS]

    def __enter__(self) -> None:
        for module, _ in self._real:
            module.now_ms = self._now_ms

    def __exit__(self, *_: object) -> None:
        for module, real in self._real:
            module.now_ms = real


def finished(coroutine: Awaitable[T]) -> T:
    """What a coroutine returns that never has to wait."""
    try:
        coroutine.__await__().send(None)
    except StopIteration as stopped:
        return cast(T, stopped.value)
    raise Unexpected("A door waited for something that the simulation does not have.")


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _as_the_phone_sees_it(refusal: Problem | AccessError) -> TransportError:
    problem = problems.from_refusal(refusal) if isinstance(refusal, AccessError) else refusal
    if "server_time" in problem.extra:
        wrong = ClockWrong(problem.status, {})
        wrong.server_time = int(problem.extra["server_time"])
        return wrong
    if problem.status == 403 and problem.extra.get("wipe") is True:
        return Revoked(403, {})
    kinds: dict[int, type[Refused]] = {401: TokenOver, 413: TooLarge}
    return kinds.get(problem.status, Refused)(problem.status, {"detail": problem.detail})
