"""Is the trail as it was written? Walks it in pages and names the first entry that is not.

What each defence finds:
  an entry's own hash     an entry whose content was changed
  the chain               entries removed, reordered, or replaced together with their hash
  the head                the newest entries cut off
  an anchor               a whole trail rewritten with new hashes, head and all; an auditor keeps the
                          anchor's line where nobody who can write to the database can reach it
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Literal, TypeVar

import msgspec

from server.audit.trail import GENESIS, entry_hash
from server.storage.port import Row, Store, Transaction

T = TypeVar("T")

PAGE_ENTRIES: Final = 2_000
"""Entries in memory at once: about two megabytes, whatever the length of the trail."""

What = Literal["changed", "removed", "reordered", "added", "index"]

_ANCHOR = re.compile(r"earlysign-audit-anchor 1 entries=(\d+) hash=([0-9a-f]{64}) at=(\S+)")

_HASHED = "at, verb, actor_kind, actor_id, kind, ids, reason, recipients"


class Anchor(msgspec.Struct, frozen=True):
    """Where the chain ended at some time: what an auditor keeps elsewhere, as one line."""

    entries: int
    hash: str
    at: int

    def line(self) -> str:
        when = datetime.fromtimestamp(self.at / 1000, UTC).isoformat(timespec="milliseconds")
        return f"earlysign-audit-anchor 1 entries={self.entries} hash={self.hash} at={when}"

    @classmethod
    def parse(cls, line: str) -> Anchor:
        """Read a line written by `line`. Raises ValueError with what it should look like."""
        match = _ANCHOR.fullmatch(line.strip())
        if match is None:
            raise ValueError(
                "This is not an anchor of the audit trail. It is one line that begins with "
                "'earlysign-audit-anchor 1 entries='."
            )
        at = round(datetime.fromisoformat(match[3]).timestamp() * 1000)
        return cls(int(match[1]), match[2], at)


class Problem(msgspec.Struct, frozen=True):
    """The first entry that is not as it was written. `position` counts from 1."""

    position: int
    what: What
    why: str


class Report(msgspec.Struct, frozen=True):
    """What verifying found. `entries` and `hash` are the end of what was walked and found good."""

    entries: int
    hash: str
    problem: Problem | None
    anchor: Anchor | None

    @property
    def ok(self) -> bool:
        return self.problem is None

    def lines(self) -> list[str]:
        """The report for a person to read."""
        if self.problem is not None:
            problem = self.problem
            return [
                f"Entry {problem.position}: {problem.what}. {problem.why}",
                f"The {self.entries} entries before it are as they were written.",
            ]
        kept = " They continue from the anchor." if self.anchor is not None else ""
        return [f"All {self.entries} entries are as they were written.{kept}", f"Head: {self.hash}"]


def take_anchor(source: Store | Transaction, *, now: int) -> Anchor:
    """Where the chain ends now. Verify first: an anchor vouches for what is there."""
    entries, digest, _, _ = _read(source, _head)
    return Anchor(entries, digest, now)


def verify(source: Store | Transaction, *, anchor: Anchor | None = None) -> Report:
    """Check the whole trail, up to where it ended when this began.

    Over a store, each page is a read of its own, so that a long walk holds nothing up.
    """
    entries, digest, lowest, highest = _read(source, _head)
    walk = _Walk(source, anchor)
    if lowest is not None and lowest < 1:
        return walk.report(Problem(lowest, "added", "Positions begin at 1."))
    problem = walk.entries_up_to(entries)
    if problem is None and highest > entries:
        why = f"The head says that entry {entries} is the last; the head was changed or this was added."
        problem = Problem(entries + 1, "added", why)
    if problem is None and walk.hash != digest:
        why = "The head has another hash for it: one of the two was changed."
        problem = Problem(entries, "changed", why)
    if problem is None and anchor is not None and anchor.entries > entries:
        why = f"The anchor was taken when there were {anchor.entries} entries."
        problem = Problem(entries + 1, "removed", why)
    if problem is None:
        problem = walk.index()
    return walk.report(problem)


class _Walk:
    """The state of one verification: the last good entry, and a checksum of the ids seen."""

    def __init__(self, source: Store | Transaction, anchor: Anchor | None) -> None:
        self._source = source
        self._anchor = anchor
        self.position = 0
        self.hash = GENESIS
        self._subjects = 0
        self._checksum = 0

    def report(self, problem: Problem | None) -> Report:
        return Report(self.position, self.hash, problem, self._anchor)

    def entries_up_to(self, last: int) -> Problem | None:
        if self._anchor is not None and self._anchor.entries == 0 and self._anchor.hash != GENESIS:
            return Problem(1, "changed", "The anchor belongs to another trail.")
        while self.position < last:
            page = _read(self._source, lambda tx: _entries(tx, self.position, last))
            for row in page:
                problem = self._entry(row)
                if problem is not None:
                    return problem
            if not page:
                return self._missing(self.position + 1, last)
        return None

    def _entry(self, row: Row) -> Problem | None:
        position, previous, digest, *content = row
        expected = self.position + 1
        if position != expected:
            return self._missing(expected, position - 1)
        if entry_hash(previous, *content) != digest:
            return Problem(position, "changed", "Its content does not match its hash.")
        if previous != self.hash:
            return self._broken_link(position)
        if self._anchor is not None and position == self._anchor.entries and digest != self._anchor.hash:
            why = "The anchor has another hash for it: this entry, or one before it, was rewritten."
            return Problem(position, "changed", why)
        self.position, self.hash = position, digest
        kind, ids = content[4], set(msgspec.json.decode(content[5], type=list[str]))
        self._subjects += len(ids)
        self._checksum = (self._checksum + sum(hash((kind, one, position)) for one in ids)) % 2**64
        return None

    def _missing(self, first: int, last: int) -> Problem:
        stands_at = self._what_follows()
        if stands_at is not None:
            return Problem(first, "reordered", f"It stands at position {stands_at}.")
        which = "It is" if first == last else f"Entries {first} to {last} are"
        return Problem(first, "removed", f"{which} missing.")

    def _broken_link(self, position: int) -> Problem:
        stands_at = self._what_follows()
        if stands_at is not None:
            return Problem(position, "reordered", f"What was written here stands at position {stands_at}.")
        why = (
            f"What stands here did not follow entry {position - 1}: entries between them were taken out "
            f"and the rest renumbered, or entry {position - 1} was replaced together with its hash."
        )
        return Problem(position, "removed", why)

    def _what_follows(self) -> int | None:
        """Where the entry stands that was written after the last good one. Reads the whole table."""
        found: int | None = _read(
            self._source,
            lambda tx: tx.value(
                "SELECT min(position) FROM audit_entry WHERE previous_hash = :hash", {"hash": self.hash}
            ),
        )
        return found

    def index(self) -> Problem | None:
        """Does the index by record hold exactly the ids of the entries?

        Compared by a count and a sum of keyed hashes, so that memory stays bounded. Entries that wait for the index
        are left out on both sides: a search looks through them one by one, and meanwhile they may be put in.
        """
        waiting = _read(self._source, lambda tx: _waiting(tx, self.position))
        for position, kind, ids in waiting:
            for one in set(ids):
                self._subjects -= 1
                self._checksum = (self._checksum - hash((kind, one, position))) % 2**64
        left_out = {position for position, _, _ in waiting}
        count = checksum = 0
        last: Row = ("", "", 0)
        while True:
            page = _read(self._source, partial(_subjects, after=last))
            if not page:
                break
            for kind, one, position in page:
                if position <= self.position and position not in left_out:
                    count += 1
                    checksum = (checksum + hash((kind, one, position))) % 2**64
            last = page[-1]
        if (count, checksum) == (self._subjects, self._checksum):
            return None
        why = "The entries are good, but the index by record differs: a search by record may leave some out."
        return Problem(self.position, "index", why)


def _read(source: Store | Transaction, work: Callable[[Transaction], T]) -> T:
    return source.read_now(work) if isinstance(source, Store) else work(source)


def _head(tx: Transaction) -> tuple[int, str, int | None, int]:
    """Entries and hash by the head, and the lowest and highest position there is."""
    head = tx.row("SELECT entries, hash FROM audit_head WHERE head = 1") or (0, GENESIS)
    lowest, highest = tx.row("SELECT min(position), max(position) FROM audit_entry") or (None, None)
    return int(head[0]), str(head[1]), lowest, highest or 0


def _entries(tx: Transaction, after: int, last: int) -> list[Row]:
    params: dict[str, Any] = {"after": after, "last": last, "n": PAGE_ENTRIES}
    return tx.rows(
        f"SELECT position, previous_hash, hash, {_HASHED} FROM audit_entry "
        "WHERE position > :after AND position <= :last ORDER BY position LIMIT :n",
        params,
    )


def _waiting(tx: Transaction, last: int) -> list[tuple[int, str, list[str]]]:
    """(position, kind, ids) of the entries up to this one whose ids are not in the index yet."""
    rows = tx.rows(
        "SELECT e.position, e.kind, e.ids FROM audit_unindexed w JOIN audit_entry e ON e.position = w.position"
        " WHERE e.position <= :last",
        {"last": last},
    )
    return [(position, kind, msgspec.json.decode(ids, type=list[str])) for position, kind, ids in rows]


def _subjects(tx: Transaction, after: Row) -> list[Row]:
    params = {"kind": after[0], "id": after[1], "position": after[2], "n": PAGE_ENTRIES}
    return tx.rows(
        "SELECT kind, id, position FROM audit_subject WHERE (kind, id, position) > (:kind, :id, :position) "
        "ORDER BY kind, id, position LIMIT :n",
        params,
    )
