"""The phone's store: the outbox, the receipts and what was pulled, in one SQLite file, encrypted where possible.

Every commit is on disk before it returns (`synchronous=FULL`): an op's id, epoch, seq and frozen bytes are
there before the first byte is sent. The two halves never mix: nothing that touches `held` can touch `outbox`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from client_stub import protection
from client_stub.database import DATABASE_FILE, LOCK_FILE, Database, StoreError
from sync.envelope import Outcome
from sync.holdings import Held, Holdings
from sync.outbox import Entry, State

WIPED_FILE = "wiped.json"
ENTRY_COLUMNS = "epoch, seq, digest, size, state, outcome, code, line IS NOT NULL"


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One op as the officer may see it. Times in milliseconds since the epoch, by this device's clock."""

    position: int
    epoch: str
    seq: int
    kind: str
    entity_id: str
    state: State
    outcome: str | None
    code: str | None
    at: str | None
    written_at: int
    settled_at: int | None
    line: bytes | None
    reissued: bool
    digest: str


class Store(Database):
    """An open store. Use it from the thread that opened it, and `close()` it."""

    @classmethod
    def create(cls, folder: Path, *, passphrase: str | None, accept_unencrypted: bool) -> Store:
        """A store in `folder`, made now, or the one that is there. Raises ProtectionError, StoreError."""
        description = protection.describe(folder)
        if description is None:
            description = protection.choose(
                folder, passphrase=passphrase, accept_unencrypted=accept_unencrypted
            )
        return cls(folder, description, protection.key_for(description, passphrase))

    @classmethod
    def open(cls, folder: Path, *, passphrase: str | None) -> Store:
        """The store in `folder`. Raises StoreError (there is none), ProtectionError (it stays closed)."""
        description = protection.describe(folder)
        if description is None:
            raise StoreError(
                f"There is no store in {folder}.", "Enrol this device first: earlysign-device enrol"
            )
        return cls(folder, description, protection.key_for(description, passphrase))

    # What the device knows of itself and of its server

    def get(self, key: str) -> str | None:
        """A fact by name, or None."""
        row = self.one("SELECT value FROM meta WHERE key = ?", key)
        return None if row is None else str(row[0])

    def put(self, key: str, value: str) -> None:
        """Keep a fact. Call it in a transaction."""
        self.run(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            key,
            value,
        )

    def file_identity(self) -> str:
        """Which file this is on which disk: another for a copy, so that a cloned store notices."""
        stat = (self.folder / DATABASE_FILE).stat()
        return f"{stat.st_dev}:{stat.st_ino}"

    # The outbox

    def append(
        self,
        *,
        epoch: str,
        kind: str,
        entity_id: str,
        written_at: int,
        freeze: Callable[[int], tuple[bytes, str]],
    ) -> int:
        """Give a new op the next seq of `epoch` and keep its frozen bytes; gives its position.

        `freeze(seq)` makes (line, digest). Call it in a transaction: number and bytes reach the disk
        together.
        """
        seq = int(self.one("SELECT COALESCE(max(seq), 0) + 1 FROM outbox WHERE epoch = ?", epoch)[0])
        line, digest = freeze(seq)
        cursor = self.run(
            "INSERT INTO outbox (epoch, seq, kind, entity_id, digest, size, line, state, written_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(epoch, seq, kind, entity_id, digest, len(line), line, State.QUEUED.value, written_at),
        )
        return int(cursor.lastrowid)

    def unfinished(self) -> list[Entry]:
        """The ops without a receipt, oldest first, those left out that were issued again."""
        return self._entries("WHERE state <> 'receipted' AND reissued_as IS NULL ORDER BY position")

    def all_entries(self) -> list[Entry]:
        """Every op, oldest first. One that was issued again is left out for its successor."""
        return self._entries("WHERE reissued_as IS NULL ORDER BY position")

    def lines(self, entries: Iterable[Entry]) -> list[bytes]:
        """The frozen bytes of `entries`, in the same order."""
        found = []
        for entry in entries:
            row = self.one("SELECT line FROM outbox WHERE epoch = ? AND seq = ?", entry.epoch, entry.seq)
            found.append(bytes(row[0]))
        return found

    def keep(self, entries: Iterable[Entry]) -> None:
        """Store the states of `entries`. Never their bytes: those do not change."""
        for entry in entries:
            outcome = None if entry.outcome is None else entry.outcome.value
            self.run(
                "UPDATE outbox SET state = ?, outcome = ?, code = ? WHERE epoch = ? AND seq = ?",
                *(entry.state.value, outcome, entry.code, entry.epoch, entry.seq),
            )

    def keep_receipt(self, text: str, covered: Iterable[Entry], received_at: int) -> None:
        """Store the server's signed receipt beside the ops that it covers."""
        self.run(
            "INSERT INTO receipts (text, received_at) VALUES (?, ?) ON CONFLICT DO NOTHING", text, received_at
        )
        (number,) = self.one("SELECT id FROM receipts WHERE text = ?", text)
        for entry in covered:
            self.run(
                "UPDATE outbox SET receipt = ?, settled_at = COALESCE(settled_at, ?) "
                "WHERE epoch = ? AND seq = ?",
                *(number, received_at, entry.epoch, entry.seq),
            )

    def receipts(self) -> dict[int, str]:
        """Every receipt that the server has signed, by its number here."""
        return {int(number): str(text) for number, text in self.every("SELECT id, text FROM receipts")}

    def receipt_numbers(self) -> dict[tuple[str, int], int]:
        """By (epoch, seq): the number of the receipt that covers the op."""
        rows = self.every("SELECT epoch, seq, receipt FROM outbox WHERE receipt IS NOT NULL")
        return {(str(epoch), int(seq)): int(number) for epoch, seq, number in rows}

    def say_where(self, entry: Entry, at: str) -> None:
        """Keep which field of the op the server could not use (a JSON path)."""
        self.run("UPDATE outbox SET at = ? WHERE epoch = ? AND seq = ?", at, entry.epoch, entry.seq)

    def items(self, entity_id: str | None = None) -> list[Item]:
        """The ops as the officer may see them, oldest first; those of one note where it is named."""
        rows = self.every(
            "SELECT position, epoch, seq, kind, entity_id, state, outcome, code, at, written_at, "
            "settled_at, line, reissued_as IS NOT NULL, digest "
            "FROM outbox WHERE COALESCE(?, entity_id) = entity_id ORDER BY position",
            entity_id,
        )
        return [
            msgspec.convert(dict(zip(Item.__struct_fields__, row, strict=True)), Item, strict=False)
            for row in rows
        ]

    def reissued(self, position: int, successor: int) -> None:
        """Mark the op at `position` as sent again, under a new epoch, by the op at `successor`."""
        self.run("UPDATE outbox SET reissued_as = ? WHERE position = ?", successor, position)

    def forget_lines(self, entries: Iterable[Entry], before: int) -> int:
        """Drop the bytes of `entries` that were receipted before that time; gives how many."""
        dropped = 0
        for entry in entries:
            dropped += self.run(
                "UPDATE outbox SET line = NULL WHERE epoch = ? AND seq = ? AND state = 'receipted' "
                "AND settled_at < ? AND line IS NOT NULL",
                *(entry.epoch, entry.seq, before),
            ).rowcount
        return dropped

    def durable(self) -> dict[str, int]:
        """By epoch: every seq to this one survives the server's loss of power, as it last said."""
        return {
            str(epoch): int(through) for epoch, through in self.every("SELECT epoch, through FROM durable")
        }

    def put_durable(self, durable: Mapping[str, int], *, anew: bool = False) -> None:
        """Keep what the server said to be durable; `anew` forgets what it said before (it was restored)."""
        if anew:
            self.run("DELETE FROM durable")
        for epoch, through in durable.items():
            self.run(
                "INSERT INTO durable VALUES (?, ?) ON CONFLICT (epoch) DO UPDATE "
                "SET through = max(through, excluded.through)",
                *(epoch, through),
            )

    # What was pulled

    def holdings(self) -> Holdings:
        """The rows that the server lent this device."""
        found: Holdings = {}
        for bucket, kind, row_id, rev, data in self.every("SELECT bucket, kind, id, rev, data FROM held"):
            found.setdefault(bucket, {})[kind, row_id] = Held(rev, msgspec.json.decode(data))
        return found

    def replace_holdings(self, before: Holdings, after: Holdings) -> None:
        """Store `after` where `before` is stored. `secure_delete` overwrites the rows that left."""
        for bucket in before.keys() | after.keys():
            old, new = before.get(bucket, {}), after.get(bucket, {})
            for kind, row_id in old.keys() - new.keys():
                self.run("DELETE FROM held WHERE bucket = ? AND kind = ? AND id = ?", bucket, kind, row_id)
            for (kind, row_id), held in new.items():
                if old.get((kind, row_id)) != held:
                    self.run(
                        "INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?, ?)",
                        *(bucket, kind, row_id, held.rev, msgspec.json.encode(held.data).decode()),
                    )

    def erase(self, wiped_at: int, why: str) -> None:
        """Destroy the store and its key. The caller has made sure that nothing unsent is in it."""
        self.close()
        protection.forget_key(self._description)
        (self.folder / WIPED_FILE).write_bytes(msgspec.json.encode({"wiped_at": wiped_at, "why": why}))
        for name in (
            *(DATABASE_FILE + suffix for suffix in ("", "-wal", "-shm")),
            *(LOCK_FILE, protection.DESCRIPTION_FILE),
        ):
            (self.folder / name).unlink(missing_ok=True)

    def _entries(self, where: str) -> list[Entry]:
        return [
            Entry(
                epoch=epoch,
                seq=seq,
                digest=digest,
                size=size,
                state=State(state),
                outcome=None if outcome is None else Outcome(outcome),
                code=code,
                held=bool(held),
            )
            for epoch, seq, digest, size, state, outcome, code, held in self.every(
                f"SELECT {ENTRY_COLUMNS} FROM outbox {where}"
            )
        ]


def wiped_at(folder: Path) -> int | None:
    """When this device was wiped (ms since the epoch), or None where it was not."""
    try:
        return int(msgspec.json.decode((folder / WIPED_FILE).read_bytes())["wiped_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
