"""What a transaction remembers besides its SQL: last work, notices, scratch notes, savepoints.

Both engines share it, so that they cannot differ in what an undone savepoint takes with it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from server.storage.port import (
    MISSED,
    NOTIFY_BYTES_MAX,
    StorageError,
    StorageUnavailable,
    Transaction,
    TransactionEnded,
)

Notice = tuple[str, str]
LastWork = Callable[[Transaction], None]

LAST_WORK_MAX = 1_000
"""Pieces of last work in one transaction; more means that last work keeps asking for more."""


class TransactionState:
    """The part of a transaction that no engine needs to know about.

    `broken` means that a statement failed and the savepoint around it has not been left yet. `fatal`
    is a failure of the database itself (a full disk, a lost connection, a deadlock): whatever the
    work does with that exception, the whole transaction fails with it, so that a good record is
    never taken for a bad one.
    """

    __slots__ = ("_ended", "broken", "fatal", "last_work", "notes", "notices", "writable")

    def __init__(self, *, writable: bool, notes: dict[str, Any] | None = None) -> None:
        self.notes: dict[str, Any] = {} if notes is None else notes
        self.last_work: list[LastWork] = []
        self.notices: list[Notice] = []
        self.writable = writable
        self.broken = False
        self.fatal: StorageUnavailable | None = None
        self._ended = False

    # What the engine provides.

    def savepoint_command(self, sql: str) -> None:
        """Run SAVEPOINT, RELEASE or ROLLBACK TO; works while the transaction is broken."""
        raise NotImplementedError

    def mend(self) -> None:
        """Take statements again after a savepoint has undone the failure."""
        raise NotImplementedError

    # What the port offers.

    def savepoint(self) -> Savepoint:
        self.check_open()
        return Savepoint(self)

    def at_commit(self, work: LastWork) -> None:
        self.check_open()
        self.last_work.append(work)

    def notify(self, topic: str, payload: str) -> None:
        self.check_open()
        if not self.writable:
            raise StorageError("notify was called in a read: only a change is news. Use Store.write.")
        check_notice(topic, payload)
        self.notices.append((topic, payload))

    # What the store calls.

    def check_open(self) -> None:
        if self._ended:
            raise TransactionEnded(
                "A transaction was used after its work had returned. Do all reading and writing "
                "inside the function given to Store.read or Store.write."
            )

    def note_failure(self, error: StorageError) -> StorageError:
        """Remember that a statement failed; the error, to be raised."""
        self.broken = True
        if self.fatal is None and isinstance(error, StorageUnavailable):
            self.fatal = error
        return error

    def check_unbroken(self) -> None:
        """Refuse to commit over a failure that somebody caught without a savepoint around it."""
        if self.fatal is not None:
            raise self.fatal
        if self.broken:
            raise StorageError(
                "A statement failed and the error was caught outside a savepoint, so the transaction "
                "cannot commit. Put `with tx.savepoint():` around what may fail."
            )

    def run_last_work(self, tx: Transaction) -> None:
        """Run everything given to `at_commit`, also what is given while this runs."""
        done = 0
        while done < len(self.last_work):
            if done >= LAST_WORK_MAX:
                raise StorageError(f"More than {LAST_WORK_MAX} pieces of work were given to at_commit.")
            work = self.last_work[done]
            done += 1
            work(tx)

    def last_work_for_write(self) -> LastWork:
        """What a read was given for its end, to be run as the work of a write transaction."""
        works = tuple(self.last_work)

        def run(tx: Transaction) -> None:
            for work in works:
                work(tx)

        return run


class Savepoint:
    """A block whose exception undoes what was written, noted and announced inside it."""

    __slots__ = ("_last_work", "_lengths", "_notes", "_notices", "_state")

    def __init__(self, state: TransactionState) -> None:
        self._state = state

    def __enter__(self) -> None:
        state = self._state
        state.check_open()
        state.savepoint_command("SAVEPOINT inner_savepoint")
        self._last_work = len(state.last_work)
        self._notices = len(state.notices)
        self._notes = dict(state.notes)
        self._lengths = [(value, len(value)) for value in self._notes.values() if type(value) is list]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        state = self._state
        if kind is None and not state.broken:
            state.savepoint_command("RELEASE SAVEPOINT inner_savepoint")
            return
        swallowed = kind is None
        self._undo()
        if swallowed:
            raise StorageError(
                "A statement failed inside a savepoint and the error was caught inside it too, so the "
                "savepoint was undone. Let the exception leave the `with tx.savepoint():` block."
            )

    def _undo(self) -> None:
        state = self._state
        state.savepoint_command("ROLLBACK TO SAVEPOINT inner_savepoint")
        state.savepoint_command("RELEASE SAVEPOINT inner_savepoint")
        state.mend()
        del state.last_work[self._last_work :]
        del state.notices[self._notices :]
        # The same dict and the same lists must stay: others hold references to them.
        state.notes.clear()
        state.notes.update(self._notes)
        for value, length in self._lengths:
            del value[length:]


def check_notice(topic: str, payload: str) -> None:
    """Hold a notice to what both engines can carry."""
    if not topic or "\n" in topic:
        raise StorageError("A notification needs a topic of one line.")
    if payload == MISSED:
        raise StorageError("A notification needs a payload: the empty one means that some were missed.")
    if "\0" in topic or "\0" in payload:
        raise StorageError("A notification cannot carry the NUL character.")
    if len(topic.encode()) + len(payload.encode()) > NOTIFY_BYTES_MAX:
        raise StorageError(
            f"A notification on {topic!r} is longer than {NOTIFY_BYTES_MAX} bytes. Send ids, not records."
        )
