"""A process of its own that works out what linkage says of a push while others are written.

SQLite has one writer, and the writer one core. Deciding which child a note is about takes a third of what a note
costs, and only reads: on a machine with a second core it is done there, and the writer takes what still stands
(`server/foreseen.py`). Nothing depends on it: where this process is away, late or dead, the writer decides by itself.

It is `python -m server.ahead DATABASE`, with frames on its standard input and output: four bytes of length, then as
many of msgpack. It ends when its input does, and so with the server, however that ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Sequence
from typing import BinaryIO

import msgspec
import structlog

from server import logs
from server.casework.pack import default_pack_text, load_pack
from server.foreseen import Foreseen, foresee
from server.memory import search_seldom, use_one_heap
from server.prepared import prepare
from server.storage import StorageSettings, Transaction, open_store
from server.world import Worlds
from sync.note import Note

log = structlog.get_logger("server.ahead")

WAIT_SECONDS_MAX = 2.0
"""A push that has waited so long for its answer goes on without it: the process is stuck, and is begun anew."""

TURNS = 48
"""Pushes from their question to their commit at once: so many that there is something to decide while a group of them
is committed. The others wait before they ask: what is decided on an older state has more new children to be held
against, and stands less often."""

BEGIN_AGAIN_SECONDS = 30.0
"""Between two beginnings, so that a process that cannot run does not keep the server busy with beginning it."""

LENGTH_BYTES = 4

STORAGE = StorageSettings(readers=1, cache_kibibytes=1_024, reader_cache_kibibytes=64 * 1_024)


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """A push that waits for its turn."""

    device_id: str
    lines: list[bytes]


_ASKED = msgspec.msgpack.Decoder(Asked)
_FORESEEN = msgspec.msgpack.Decoder(Foreseen)
_ENCODER = msgspec.msgpack.Encoder()


class Ahead:
    """The server's side: begins the process, asks it, and does without it."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._began = -BEGIN_AGAIN_SECONDS
        self._beginning: asyncio.Task[None] | None = None
        self._stopped = False
        self.turns = asyncio.Semaphore(TURNS)

    @property
    def pid(self) -> int | None:
        """Of the process, once it can be asked."""
        return self._process.pid if self._process is not None else None

    @property
    def is_asked(self) -> bool:
        """Whether a question waits for its answer: then a push will soon be written."""
        return bool(self._waiting)

    def begin(self) -> None:
        """Begin the process in the background, unless that was done a moment ago."""
        loop = asyncio.get_running_loop()
        if self._stopped or loop.time() - self._began < BEGIN_AGAIN_SECONDS:
            return
        self._began = loop.time()
        self._beginning = loop.create_task(self._begin())

    async def ready(self) -> None:
        """Wait until the process can be asked, or has failed to begin."""
        if self._beginning is not None:
            await asyncio.wait([self._beginning])

    async def _begin(self) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "server.ahead", self._database,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
        except OSError as error:
            log.warning("linkage_ahead_did_not_begin", error=type(error).__name__)
            return
        assert process.stdout is not None
        try:
            await _frame(process.stdout)
        except asyncio.IncompleteReadError:
            log.warning("linkage_ahead_did_not_begin")
            await _end(process)
            return
        except asyncio.CancelledError:
            await _end(process)
            raise
        self._process = process
        self._reading = asyncio.create_task(self._read(process))

    async def stop(self) -> None:
        """End the process; nobody is answered any more."""
        self._stopped = True
        if self._beginning is not None:
            self._beginning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beginning
        await self._leave()

    async def foresee(self, device_id: str, lines: Sequence[bytes]) -> Foreseen | None:
        """What linkage says of the notes in these lines; None where nobody is there to say it in time."""
        process = self._process
        if process is None:
            self.begin()
            return None
        assert process.stdin is not None
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        body = _ENCODER.encode(Asked(device_id, list(lines)))
        process.stdin.write(len(body).to_bytes(LENGTH_BYTES, "big") + body)
        try:
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                said = await answer
        except TimeoutError:
            if process is self._process:
                log.warning("linkage_ahead_too_late")
                await self._leave()
            return None
        try:
            return _FORESEEN.decode(said) if said else None
        except msgspec.DecodeError:
            log.warning("linkage_ahead_not_understood")  # another release was installed under this one
            return None

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Hand out the answers, which come in the order of the questions."""
        assert process.stdout is not None
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                said = await _frame(process.stdout)
                answer = self._waiting.popleft()
                if not answer.done():
                    answer.set_result(said)
        if process is self._process:
            log.warning("linkage_ahead_ended")
            self._process = None
            await _end(process)
        while self._waiting:
            answer = self._waiting.popleft()
            if not answer.done():
                answer.set_result(b"")

    async def _leave(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await _end(process)
        if self._reading is not None:
            await self._reading


async def _frame(stream: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await stream.readexactly(LENGTH_BYTES), "big")
    return await stream.readexactly(length)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill it: it has nothing to lose."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def serve(database: str, asked: BinaryIO, said: BinaryIO) -> None:
    """The process's side: answer every question until there are no more. An empty frame says "ready" or "no idea"."""
    store = open_store(database, STORAGE)
    # Rules have no say in linkage; those that ship are as good as any.
    worlds = Worlds(load_pack(default_pack_text()))
    try:
        store.read_now(worlds.current)
        search_seldom()
        _say(said, b"")
        while (question := _ask(asked)) is not None:
            try:
                answer = _ENCODER.encode(store.read_now(lambda tx: answer_to(tx, worlds, question)))
            except Exception as error:
                # The writer meets it again, and sets aside the note that is to blame. No content goes to the log.
                log.warning("linkage_ahead_has_no_idea", error=type(error).__name__)
                answer = b""
            _say(said, answer)
    finally:
        store.close_now()


def answer_to(tx: Transaction, worlds: Worlds, question: Asked) -> Foreseen:
    """What linkage says of the notes of a push."""
    prepared = prepare(question.lines, question.device_id)
    notes = [(item.arrival.index, item.subjects) for item in prepared if isinstance(item.arrival.body, Note)]
    return foresee(tx, worlds.current(tx), notes)


def _ask(asked: BinaryIO) -> Asked | None:
    head = asked.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    length = int.from_bytes(head, "big")
    body = asked.read(length)
    return _ASKED.decode(body) if len(body) == length else None


def _say(said: BinaryIO, body: bytes) -> None:
    said.write(len(body).to_bytes(LENGTH_BYTES, "big") + body)
    said.flush()


def main() -> None:
    """`python -m server.ahead DATABASE`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this one
    logs.configure("warning", "json")
    use_one_heap()
    # The pipe breaks where the server has ended: in an answer, and once more where the rest of it is thrown away.
    with contextlib.suppress(BrokenPipeError), os.fdopen(os.dup(1), "wb") as said:
        os.dup2(2, 1)  # whatever else is printed must not stand between the frames
        try:
            serve(sys.argv[1], sys.stdin.buffer, said)
        except BrokenPipeError:
            raise
        except Exception as error:
            log.warning("linkage_ahead_stopped", error=type(error).__name__)
            raise SystemExit(1) from None


if __name__ == "__main__":
    main()
