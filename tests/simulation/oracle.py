"""What must hold, by the invariants of the protocol. It shares no code with the product: plain dictionaries, and JSON.

`Life` is what a server that does right must hold after the pushes that were committed. A backup is a copy of it.
`Oracle` also knows every op that a phone ever had on its disk, and what was promised to whom.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.lent import Lent

BUG = "This note meets a bug that only it meets"
"""What a note says whose op fails in the middle, after it has written."""
NEWER = 9999
"""A schema that no server knows yet."""
OLD, OLD_NAME = 1, "heard"
"""A schema that was shipped once, in which `saw_or_heard` had another name."""
RELEASED = ":released"
"""Where the ledger keeps lines that had no number of their own and were released by a person."""
QUARANTINED, APPLIED, PARKED = "quarantined", "applied", "parked"

Key = tuple[str, str, int]
"""(device, epoch, seq)"""


class Violation(AssertionError):
    """An invariant does not hold. `number` is its number."""

    def __init__(self, number: int, found: str) -> None:
        super().__init__(f"invariant {number}: {found}")
        self.number = number


def sha(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


@dataclass
class Kept:
    """An op that a server has: its digest, how it ended and why, when it was received."""

    digest: str
    outcome: str
    code: str | None
    at: int


@dataclass
class Told:
    """A note as its author wrote it. `follow_ups`: amendments and withdrawals that hang on it."""

    author: str
    device: str
    at: int
    who: str
    text: str
    follow_ups: list[str] = field(default_factory=list)
    withdrawn: bool = False


@dataclass
class Life:
    """One server's memory. `set_aside`: (device, digest) that a person must look at, and when it first came. `wipes`:
    by device, when it said that it begins to wipe itself and that it has."""

    ops: dict[Key, Kept] = field(default_factory=dict)
    set_aside: dict[tuple[str, str], int] = field(default_factory=dict)
    decided: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """By the number of a line that was set aside: whose phones hear what was decided, its digest, and what."""
    notes: dict[str, Told] = field(default_factory=dict)
    parked: dict[str, list[tuple[Key | None, dict[str, Any]]]] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    wipes: dict[str, tuple[int | None, int | None]] = field(default_factory=dict)
    lent: Lent = field(default_factory=Lent)
    backed_up: dict[tuple[str, str], int] | None = None

    def take(self, device: str, user: str, lines: Sequence[bytes], now: int) -> list[tuple[str, str | None]]:
        """A push was committed: the verdict (outcome, code) that each line must get. `None`: any code."""
        return [self._take(device, user, line, now) for line in lines]

    def _take(self, device: str, user: str, line: bytes, now: int) -> tuple[str, str | None]:
        digest = sha(line)
        try:
            op = json.loads(line)
        except ValueError:
            self.set_aside.setdefault((device, digest), now)
            return QUARANTINED, "not_an_op"
        if sha(_body(line)) != op["body_sha256"]:
            self.set_aside.setdefault((device, digest), now)
            return QUARANTINED, "body_digest_mismatch"
        key = (device, op["epoch"], op["seq"])
        kept = self.ops.get(key)
        if kept is not None and kept.digest == digest:
            return "duplicate", kept.outcome
        if kept is not None:
            self.set_aside.setdefault((device, digest), now)
            return QUARANTINED, "key_reused"
        fault = self._fault(device, user, op)
        if fault is not None:
            self.ops[key] = Kept(digest, QUARANTINED, fault, now)
            self.set_aside.setdefault((device, digest), now)
            return QUARANTINED, fault
        note = self.notes.get(op["entity_id"])
        if op["kind"] != "note.write" and note is None:
            self.ops[key] = Kept(digest, PARKED, "waits_for_note", now)
            self.parked.setdefault(op["entity_id"], []).append((key, op))
            return PARKED, "waits_for_note"
        self.ops[key] = Kept(digest, APPLIED, None, now)
        self._apply(op, now)
        return APPLIED, None

    def _apply(self, op: dict[str, Any], now: int) -> None:
        if op["kind"] != "note.write":
            self._follow(op)
            return
        body = op["body"]
        self.notes[op["entity_id"]] = Told(
            author=op["user"],
            device=op["device"],
            at=now,
            who=body["subjects"][0]["given_names"],
            text=_text(op),
        )
        for waited, later in self.parked.pop(op["entity_id"], []):
            if waited is not None:
                self.ops[waited] = Kept(self.ops[waited].digest, APPLIED, None, self.ops[waited].at)
            self._follow(later)

    def release(
        self, device: str, line: bytes, code: str, number: int, now: int, *, has_key: bool
    ) -> str | None:
        """A person releases a line that was set aside: how it ends now (None: it cannot be released). The verdict that
        its phone had stays."""
        try:
            op = json.loads(line)
        except ValueError:
            return None
        fault = "body_digest_mismatch" if sha(_body(line)) != op["body_sha256"] else self._unfit(op)
        if fault is not None:
            return None
        if not has_key:
            self.ops[device, RELEASED, number] = Kept(sha(line), QUARANTINED, code, now)
        if op["kind"] != "note.write" and op["entity_id"] not in self.notes:
            self.parked.setdefault(op["entity_id"], []).append((None, op))
            return PARKED
        self._apply(
            op, self.set_aside[device, sha(line)]
        )  # received when it came, and not when it was released
        return APPLIED

    def _fault(self, device: str, user: str, op: dict[str, Any]) -> str | None:
        if op["schema"] == NEWER:
            return "schema_unknown"
        if "recorded_at" not in op["body"]:
            return "body_invalid"
        if device in self.revoked:
            return "device_revoked"
        return "user_mismatch" if op["user"] != user else self._unfit(op)

    def _unfit(self, op: dict[str, Any]) -> str | None:
        """Why an op cannot be applied, whoever sends it."""
        if op["schema"] == NEWER:
            return "schema_unknown"
        if "recorded_at" not in op["body"]:
            return "body_invalid"
        if op["kind"] == "note.write" and op["entity_id"] in self.notes:
            return "entity_taken"
        return "failed" if _text(op) == BUG else None

    def says(self, device: str, wipe: str | None, holds: int, now: int) -> None:
        """A phone said of itself that it begins to wipe itself, or that it has."""
        begun, done = self.wipes.get(device, (None, None))
        if wipe is None:
            return
        self.wipes[device] = (begun or now, done) if wipe == "begins" else (begun, done or now)
        if wipe == "done" or holds == 0:
            self.lent.erased(device, now)

    def _follow(self, op: dict[str, Any]) -> None:
        note = self.notes[op["entity_id"]]
        note.follow_ups.append(op["body_sha256"])
        note.withdrawn = note.withdrawn or op["kind"] == "note.withdraw"

    def contiguous(self, device: str, epoch: str) -> int:
        reached = 0
        while (device, epoch, reached + 1) in self.ops:
            reached += 1
        return reached

    def durable(self, device: str, epoch: str) -> int:
        if self.backed_up is None:
            return self.contiguous(device, epoch)
        return self.backed_up.get((device, epoch), 0)

    def marks(self) -> dict[tuple[str, str], int]:
        return {(device, epoch): self.contiguous(device, epoch) for device, epoch, _ in self.ops}

    def after_restore(self) -> Life:
        """What a server that was restored from a copy of this one holds, and promises to hold."""
        life = deepcopy(self)
        if life.backed_up is not None:
            life.backed_up = life.marks()
        return life

    # What stands in a database, row by row ----------------------------------------------------------------

    def check_ledger(self, rows: Iterable[tuple[Any, ...]], now_at_most: int) -> None:
        """Rows of (device, epoch, seq, line, outcome, received at)."""
        found = {(d, e, s): (bytes(line), outcome, at) for d, e, s, line, outcome, at in rows}
        for key, kept in self.ops.items():
            if key not in found:
                raise Violation(1, f"an op that was acknowledged is not in the ledger: {_short(key)}")
            line, outcome, at = found[key]
            if sha(line) != kept.digest:
                raise Violation(3, f"other bytes stand under the key {_short(key)}")
            if outcome != kept.outcome:
                raise Violation(4, f"{_short(key)} ended {outcome} and should be {kept.outcome}")
            if at != kept.at:
                raise Violation(13, f"{_short(key)} says received at {at}, and it was at {kept.at}")
        if found.keys() - self.ops.keys():
            raise Violation(7, "the ledger holds an op that no committed push brought")

    def check_set_aside(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Rows of (device, digest, line)."""
        found = {(device, digest): line for device, digest, line in rows}
        for device, digest in self.set_aside:
            line = found.get((device, digest))
            if line is None or sha(bytes(line)) != digest:
                raise Violation(4, f"the bytes of a line that was set aside are gone ({digest[:8]})")
        if found.keys() - self.set_aside.keys():
            raise Violation(5, "something was set aside that had nothing wrong")

    def check_wipes(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Rows of (device, when it began to wipe itself, when it had)."""
        found = {device: (begun, done) for device, begun, done in rows if (begun, done) != (None, None)}
        if found != self.wipes:
            raise Violation(10, "the server says of a wipe what its phone did not say")

    def check_texts(self, rows: Iterable[tuple[str, str]]) -> None:
        """Rows of (note id, what was seen or heard), as people read it, whatever the schema it was written in."""
        for note_id, text in rows:
            if text != self.notes[note_id].text:
                raise Violation(4, f"note {note_id[:8]} does not read as its author wrote it")

    def check_notes(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Rows of (note id, author, received at, withdrawn, follow-ups, child), in the order of the server."""
        found = {row[0]: row[1:] for row in rows}
        for note_id, note in self.notes.items():
            if note_id not in found:
                raise Violation(1, f"a note that was acknowledged is not there: {note_id[:8]}")
            author, at, withdrawn, follow_ups, _ = found[note_id]
            if (author, at) != (note.author, note.at):
                raise Violation(13, f"note {note_id[:8]} has another author or time of receipt")
            if (bool(withdrawn), follow_ups) != (note.withdrawn, len(note.follow_ups)):
                raise Violation(
                    4, f"note {note_id[:8]} has {follow_ups} follow-ups of {len(note.follow_ups)}"
                )
        if found.keys() - self.notes.keys():
            raise Violation(5, "a note stands whose op was not applied")
        if [row[0] for row in rows] != list(self.notes):
            raise Violation(13, "the notes are not in the order in which the server received them")
        children: dict[str, set[int | None]] = {}
        for row in rows:
            children.setdefault(self.notes[row[0]].who, set()).add(row[5])
        if any(None in ids for ids in children.values()):
            raise Violation(4, "a note stands on no child")
        if twice := sorted(
            name for name, ids in children.items() if len(ids) > 1 and name not in self.lent.in_doubt
        ):
            raise Violation(17, f"one child has several records: {', '.join(twice)}")


def _short(key: Key) -> str:
    device, epoch, seq = key
    return f"{device[:4]}/{epoch[:4]}/{seq}"


def _text(op: dict[str, Any]) -> str:
    text: str = op["body"].get(OLD_NAME if op["schema"] == OLD else "saw_or_heard", "")
    return text


def _body(line: bytes) -> bytes:
    return line[line.index(b'"body":') + 7 : line.index(b',"body_sha256"')]


@dataclass
class Oracle:
    """Everything that was written, and by which phones it is still held."""

    life: Life = field(default_factory=Life)
    written: dict[str, set[bytes]] = field(default_factory=dict)
    """By phone: every line that was on its disk, and that nobody has a right to lose."""
    bodies: dict[str, str] = field(default_factory=dict)
    """By digest of every line that was ever written: the digest of its body, which it keeps under another number."""
    wanted_gone: set[str] = field(default_factory=set)
    """Devices that were ever revoked or told to wipe themselves."""
    signed_for: set[str] = field(default_factory=set)
    """Digests under a receipt that reached a phone."""

    def wrote(self, phone: str, line: bytes) -> None:
        """A line is on the disk of a phone."""
        self.written[phone].add(line)
        self.bodies[sha(line)] = json.loads(line)["body_sha256"]

    def check_answer(
        self, lines: Sequence[bytes], expected: Sequence[tuple[str, str | None]], answer: dict[str, Any]
    ) -> None:
        """An answer to a push beside what it must say. `answer` is the JSON of it, its receipt opened."""
        verdicts = [(verdict["v"], verdict.get("code")) for verdict in answer["verdicts"]]
        if len(verdicts) != len(lines):
            raise Violation(4, f"{len(lines)} lines got {len(verdicts)} verdicts")
        for line, wanted, got in zip(lines, expected, verdicts, strict=True):
            if got[0] == wanted[0] == APPLIED:
                continue
            if got != wanted:
                number = 3 if "duplicate" in (got[0], wanted[0]) else 5
                raise Violation(number, f"the verdict on {sha(line)[:8]} is {got} and should be {wanted}")
        promised = {digest for _, _, digest in answer["receipt"]["ops"]}
        if promised != {sha(line) for line in lines}:
            raise Violation(3, "the receipt is not over the lines that the server took custody of")

    def check_custody(self, answer: dict[str, Any], in_database: set[str]) -> None:
        """Whatever an answer signs for is on disk before it leaves."""
        for _, _, digest in answer["receipt"]["ops"]:
            if digest not in in_database:
                raise Violation(1, f"a receipt left for {digest[:8]}, which is not in the database")

    def check_nothing_lost(self, held: dict[str, set[bytes]]) -> None:
        """Every line that a living phone wrote is on a server or on a phone. `held`: by living phone."""
        here = {kept.digest for kept in self.life.ops.values()} | {d for _, d in self.life.set_aside}
        anywhere = set().union(*held.values()) if held else set()
        for phone in held:
            for line in self.written.get(phone, set()):
                if line not in anywhere and sha(line) not in here:
                    raise Violation(10, f"phone {phone} no longer has {sha(line)[:8]}, nor has the server")

    def check_closed(self, device: str) -> None:
        """A phone refuses to write only once somebody wants it wiped."""
        if device not in self.wanted_gone:
            raise Violation(10, f"a phone that nobody wants wiped takes no more notes ({device[:4]})")

    def check_all_sent(self, phone: str, says: bool) -> None:
        """ "All sent" is true: the phone has heard the server sign for everything that was written on it, under its
        number or, where that was taken, under another."""
        bodies = {self.bodies.get(digest) for digest in self.signed_for}
        missing = {
            digest for digest in map(sha, self.written.get(phone, set())) if self.bodies[digest] not in bodies
        }
        if says and missing:
            raise Violation(16, f'phone {phone} says "all sent", and {len(missing)} ops have no receipt')

    def check_pull(self, author: str, ids: Iterable[str]) -> None:
        """Every row sent is a committed note of this officer."""
        for note_id in ids:
            note = self.life.notes.get(note_id)
            if note is None:
                raise Violation(7, f"a pull showed {note_id[:8]}, which nobody committed")
            if note.author != author:
                raise Violation(8, f"a pull showed {author} a note of {note.author}")

    def check_drained(self, user: str, device: str, held: Iterable[bytes]) -> None:
        """When faults have stopped: every op that a phone has is here, under its number or, where that was taken,
        under another; and every good note is a note of the server."""
        digests = {kept.digest for kept in self.life.ops.values()}
        arrived = {body for digest, body in self.bodies.items() if digest in digests}
        for line in held:
            op = json.loads(line)
            kept = self.life.ops.get((device, op["epoch"], op["seq"]))
            if sha(line) not in digests and op["body_sha256"] not in arrived:
                raise Violation(11, f"{sha(line)[:8]} is on a phone and did not arrive")
            good = op["schema"] != NEWER and "recorded_at" in op["body"] and _text(op) != BUG
            refused = kept is not None and kept.code == "device_revoked" and kept.digest == sha(line)
            if op["kind"] == "note.write" and good and not refused and op["entity_id"] not in self.life.notes:
                raise Violation(12, f"note {op['entity_id'][:8]} of {user} was overwritten by another")
