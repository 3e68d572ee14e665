"""Photographs and recordings on the phone: looked at before they are kept, in the encrypted store, until receipted.

Their bytes lie in pieces in the store's own file, so they are encrypted as the outbox is, go with it in a wipe, and
are kept in the same transaction as the note that names them. They are removed when the server has signed for them and
its newest backup holds them; of a server that was restored from a backup they are sent again.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import msgspec

from client_stub.store import Store
from sync import media
from sync.limits import ATTACHMENT_BYTES_MAX, BLOBS_PER_OP_MAX
from sync.note import Attached

PIECE_BYTES = 1024 * 1024
"""Sent in one request: what a cut in the middle of it loses is less, for the server keeps what came."""


class AttachmentProblem(ValueError):
    """A file cannot be attached. The message says which, and what to do."""


class AttachmentState(StrEnum):
    WAITING = "waiting"
    RECEIPTED = "receipted"
    REFUSED = "refused"
    """The server does not take it; it stays on this device for a person to look at."""


class Chosen(msgspec.Struct, frozen=True):
    """A file that may be attached."""

    path: Path
    size: int
    attached: Attached


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """An attachment as the store has it. `sent`: bytes that the server said are on its disk."""

    digest: str
    note_id: str
    kind: str
    size: int
    sent: int
    state: AttachmentState
    address: str | None


COLUMNS = "digest, note_id, kind, size, sent, state, address"


def choose(paths: Iterable[Path], bytes_max: int = ATTACHMENT_BYTES_MAX) -> list[Chosen]:
    """Look at files that an officer wants to attach: at most so large. Raises AttachmentProblem."""
    chosen = []
    for path in paths:
        try:
            chosen.append(_look(path, bytes_max))
        except OSError as error:
            raise AttachmentProblem(f"{path} cannot be read: {error.strerror}.") from None
    if len(chosen) > BLOBS_PER_OP_MAX:
        raise AttachmentProblem(
            f"At most {BLOBS_PER_OP_MAX} files go with one note. Add the others with amend."
        )
    return chosen


def _look(path: Path, bytes_max: int) -> Chosen:
    stat = path.stat()
    if stat.st_size > bytes_max:
        raise AttachmentProblem(
            f"{path} is larger than the {bytes_max // 1_000_000} MB that the server takes. Write the note without it, "
            "keep the original, and tell the borough of it."
        )
    hasher = hashlib.sha256()
    with path.open("rb") as file:

        def read(offset: int, count: int) -> bytes:
            file.seek(offset)
            return file.read(count)

        found = media.recognise(read, stat.st_size)
        if found is None:
            raise AttachmentProblem(f"{path} is not of a type that is taken: {media.IN_WORDS}.")
        file.seek(0)
        while piece := file.read(PIECE_BYTES):
            hasher.update(piece)
    taken_at = datetime.datetime.fromtimestamp(stat.st_mtime, datetime.UTC).replace(microsecond=0)
    return Chosen(path, stat.st_size, Attached(sha256=hasher.hexdigest(), kind=found.kind, taken_at=taken_at))


class Album:
    """The attachments of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def keep(self, chosen: Iterable[Chosen], note_id: str) -> None:
        """Take the bytes in, in the transaction of their note. The same file twice is kept once."""
        for one in chosen:
            digest = one.attached.sha256
            if self._store.one("SELECT 1 FROM attachment WHERE digest = ?", digest) is not None:
                continue
            kind = one.attached.kind.value if one.attached.kind else ""
            self._store.run(
                "INSERT INTO attachment (digest, note_id, kind, size, state) VALUES (?, ?, ?, ?, ?)",
                *(digest, note_id, kind, one.size, AttachmentState.WAITING.value),
            )
            hasher, ordinal = hashlib.sha256(), 0
            with one.path.open("rb") as file:
                while piece := file.read(PIECE_BYTES):
                    hasher.update(piece)
                    self._store.run("INSERT INTO attachment_piece VALUES (?, ?, ?)", digest, ordinal, piece)
                    ordinal += 1
            if hasher.hexdigest() != digest:
                raise AttachmentProblem(f"{one.path} changed while it was read. Attach it again.")

    def all(self) -> list[Picture]:
        """Every attachment, oldest first."""
        return [
            msgspec.convert(dict(zip(Picture.__struct_fields__, row, strict=True)), Picture)
            for row in self._store.every(f"SELECT {COLUMNS} FROM attachment ORDER BY rowid")
        ]

    def to_send(self) -> list[Picture]:
        """Those that wait and whose note the server has signed for: notes go first."""
        unsigned = {
            note_id
            for (note_id,) in self._store.every(
                "SELECT DISTINCT entity_id FROM outbox WHERE state <> 'receipted' AND reissued_as IS NULL"
            )
        }
        return [
            one for one in self.all() if one.state is AttachmentState.WAITING and one.note_id not in unsigned
        ]

    def bytes_from(self, digest: str, offset: int) -> bytes:
        """What is to be sent next from that offset: to the end of the piece that it lies in."""
        ordinal, start = divmod(offset, PIECE_BYTES)
        row = self._store.one(
            "SELECT bytes FROM attachment_piece WHERE digest = ? AND ordinal = ?", digest, ordinal
        )
        return bytes(row[0])[start:]

    def at(self, digest: str, address: str | None, sent: int) -> None:
        """Keep where an upload is and how far it has come."""
        with self._store.transaction():
            self._store.run(
                "UPDATE attachment SET address = ?, sent = ? WHERE digest = ?", address, sent, digest
            )

    def receipted(self, digest: str, receipt: str, received_at: int, now: int) -> None:
        """The server has signed for it, as received then by its clock: keep the receipt, and the bytes for now."""
        with self._store.transaction():
            self._store.keep_receipt(receipt, (), now)
            self._settle(digest, AttachmentState.RECEIPTED)
            self._store.run("UPDATE attachment SET received_at = ? WHERE digest = ?", received_at, digest)

    def forget(self, through: int | None) -> None:
        """Remove the bytes of what the server received by that time; of all that it signed for where that is None."""
        with self._store.transaction():
            self._store.run(
                "DELETE FROM attachment_piece WHERE digest IN"
                " (SELECT digest FROM attachment WHERE state = ? AND (? IS NULL OR received_at <= ?))",
                *(AttachmentState.RECEIPTED.value, through, through),
            )

    def send_again(self) -> None:
        """The server was restored from a backup: whatever is still here waits again. In a transaction."""
        self._store.run(
            "UPDATE attachment SET state = ?, address = NULL, sent = 0, received_at = NULL"
            " WHERE state = ? AND digest IN (SELECT digest FROM attachment_piece)",
            *(AttachmentState.WAITING.value, AttachmentState.RECEIPTED.value),
        )

    def refused(self, digest: str) -> None:
        """The server does not take it: stop sending, and keep it."""
        with self._store.transaction():
            self._settle(digest, AttachmentState.REFUSED)

    def _settle(self, digest: str, state: AttachmentState) -> None:
        self._store.run(
            "UPDATE attachment SET state = ?, address = NULL WHERE digest = ?", state.value, digest
        )
