"""Concern notes as they were written, and what has become of each. A note itself never changes."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec

from server.access.identity import Person
from server.audit import Actor, Verb, audited, impersonal, record
from server.casework.facts import NoteFact
from server.linkage.standardise import Record
from server.records import changes
from server.records.whole import WHOLE
from server.storage.port import Transaction
from sync.envelope import ChangeOp
from sync.note import Amendment, Note, Withdrawal
from sync.operations import body_of, parse_envelope
from sync.vocabulary import SubjectRole

TIMELINE_NOTES_MAX = 500
"""Notes shown for one child at once; a child with more has a page of its own for the oldest."""


class Status(StrEnum):
    """What became of a note, as its author hears it."""

    RECEIVED = "received"
    LINKED = "linked"
    IN_REVIEW = "in_review"
    NEW_CHILD = "new_child"
    SEEN = "seen"
    """The borough has acknowledged the alert that the note raised."""
    DECIDED = "decided"
    """The borough has ended that alert with a decision. What was decided is for those who may see the child."""
    WITHDRAWN = "withdrawn"


_WEIGHT = {
    Status.RECEIVED: 0,
    Status.LINKED: 1,
    Status.IN_REVIEW: 1,
    Status.NEW_CHILD: 1,
    Status.SEEN: 2,
    Status.DECIDED: 3,
    Status.WITHDRAWN: 4,
}


class NewNote(msgspec.Struct, frozen=True, kw_only=True):
    """A note on its way in. Times in milliseconds since the epoch."""

    note_id: str
    op_id: int
    author: str
    author_name: str
    device_id: str
    author_borough: str | None
    found_borough: str | None
    observed_at: int
    observed_doubtful: bool
    recorded_at: int
    received_at: int
    status: Status


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What an op about an earlier note needs to know of it."""

    note_key: int
    note_id: str
    op_id: int
    author: str
    author_borough: str | None
    found_borough: str | None
    received_at: int
    withdrawn: bool
    rev: int


class Amended(msgspec.Struct, frozen=True, kw_only=True):
    """An amendment or a withdrawal, as its author wrote it."""

    received_at: int
    body: Amendment | Withdrawal


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A note as a person may read it, with how one of its subjects came to the child in question."""

    note_key: int
    note_id: str
    author: str
    author_name: str
    found_borough: str | None
    observed_at: int
    observed_doubtful: bool
    recorded_at: int
    received_at: int
    withdrawn_at: int | None
    subject_id: int
    ordinal: int
    role: SubjectRole
    body: Note
    amendments: tuple[Amended, ...]


_facts_encoder = msgspec.msgpack.Encoder()
_facts_decoder = msgspec.msgpack.Decoder(NoteFact)
_record_encoder = msgspec.msgpack.Encoder()
_record_decoder = msgspec.msgpack.Decoder(Record)


@impersonal("a name of a bucket")
def bucket(author: str) -> str:
    """The bucket that holds an officer's own notes."""
    return f"notes:{author}"


@audited(Verb.COLLECTION)
def add(tx: Transaction, actor: Actor, note: NewNote) -> int:
    """Store a note and let its author's phone know what became of it; its number.

    A note id that exists is a StorageConflict.
    """
    note_key: int = tx.insert(
        "INSERT INTO note (note_id, op_id, author, author_name, device_id, author_borough, found_borough,"
        " observed_at, observed_doubtful, recorded_at, received_at, status)"
        " VALUES (:note_id, :op_id, :author, :author_name, :device_id, :author_borough, :found_borough,"
        " :observed_at, :doubtful, :recorded_at, :received_at, :status)",
        {
            "note_id": note.note_id,
            "op_id": note.op_id,
            "author": note.author,
            "author_name": note.author_name,
            "device_id": note.device_id,
            "author_borough": note.author_borough,
            "found_borough": note.found_borough,
            "observed_at": note.observed_at,
            "doubtful": int(note.observed_doubtful),
            "recorded_at": note.recorded_at,
            "received_at": note.received_at,
            "status": note.status.value,
        },
        "note_key",
    )
    changes.put(tx, bucket(note.author), "note", note.note_id, 1, ChangeOp.PUT)
    record(tx, actor, Verb.COLLECTION, "note", [note.note_id], now=note.received_at)
    return note_key


@impersonal("part of the note, whose collection is logged where it is added")
def add_subject(
    tx: Transaction, note_key: int, ordinal: int, record_: Record, fact: NoteFact, child_id: int
) -> int:
    """Store a subject of a note, on the child that linkage gave it; its number."""
    subject_id: int = tx.insert(
        "INSERT INTO subject (note_key, ordinal, role, child_id, record, facts)"
        " VALUES (:note, :ordinal, :role, :child, :record, :facts)",
        {
            "note": note_key,
            "ordinal": ordinal,
            "role": fact.role.value,
            "child": child_id,
            "record": _record_encoder.encode(record_),
            "facts": _facts_encoder.encode(fact),
        },
        "subject_id",
    )
    return subject_id


@impersonal("for the server's own work; nothing is shown")
def stored(tx: Transaction, note_id: str) -> Stored | None:
    """A note by its id."""
    row = tx.row(
        "SELECT note_key, note_id, op_id, author, author_borough, found_borough, received_at,"
        " withdrawn_at, rev FROM note"
        " WHERE note_id = :note",
        {"note": note_id},
    )
    if row is None:
        return None
    return Stored(
        note_key=row[0],
        note_id=row[1],
        op_id=row[2],
        author=row[3],
        author_borough=row[4],
        found_borough=row[5],
        received_at=row[6],
        withdrawn=row[7] is not None,
        rev=row[8],
    )


@impersonal("ids only")
def taken_ids(tx: Transaction, note_ids: Sequence[str]) -> set[str]:
    """Those of these ids that a note has already."""
    if not note_ids:
        return set()
    marks = {f"n{index}": note_id for index, note_id in enumerate(note_ids)}
    wanted = ", ".join(f":{name}" for name in marks)
    return {row[0] for row in tx.rows(f"SELECT note_id FROM note WHERE note_id IN ({wanted})", marks)}


@impersonal("what the rules need, for the server's own work; nothing is shown")
def facts_of_child(tx: Transaction, child_id: int) -> list[NoteFact]:
    """Every note on one record as casework takes it, oldest first by when it came."""
    return _facts_where(tx, "s.child_id = :child", child_id)


@impersonal("what the rules need, for the server's own work; nothing is shown")
def facts_together(tx: Transaction, kept_id: int) -> list[NoteFact]:
    """The same for all records of a merged child."""
    return _facts_where(tx, f"s.child_id IN {WHOLE}", kept_id)


def _facts_where(tx: Transaction, condition: str, child_id: int) -> list[NoteFact]:
    found = []
    for encoded, withdrawn_at, apart in tx.rows(
        "SELECT s.facts, n.withdrawn_at, s.apart FROM subject s JOIN note n ON n.note_key = s.note_key"
        f" WHERE {condition} ORDER BY n.note_key",
        {"child": child_id},
    ):
        fact = _facts_decoder.decode(encoded)
        if apart or withdrawn_at is not None:
            fact = msgspec.structs.replace(fact, withdrawn=withdrawn_at is not None, apart=bool(apart))
        found.append(fact)
    return found


@impersonal("numbers of children; what is read of them is logged by whoever reads it")
def children_with_notes(tx: Transaction, *, since: int, after: int, limit: int) -> list[int]:
    """Up to `limit` children with a number above `after` and a note received from `since` on, in order."""
    rows = tx.rows(
        "SELECT DISTINCT s.child_id FROM subject s JOIN note n ON n.note_key = s.note_key"
        " WHERE s.child_id > :after AND n.received_at >= :since ORDER BY s.child_id LIMIT :most",
        {"after": after, "since": since, "most": limit},
    )
    return [child_id for (child_id,) in rows]


@impersonal("a time")
def observed_at(tx: Transaction, note_key: int) -> int:
    """When a note was observed, as the rules take it."""
    at: int = tx.value("SELECT observed_at FROM note WHERE note_key = :note", {"note": note_key})
    return at


@impersonal("numbers of children, for the server's own work")
def children_of(tx: Transaction, note_key: int) -> list[int]:
    """The children whose timeline a note stands on."""
    return [
        child_id
        for (child_id,) in tx.rows(
            "SELECT DISTINCT child_id FROM subject WHERE note_key = :note AND child_id IS NOT NULL"
            " ORDER BY child_id",
            {"note": note_key},
        )
    ]


@audited(Verb.ALTERATION)
def amend(tx: Transaction, actor: Actor, note: Stored, op_id: int, *, now: int) -> int:
    """Hang an amendment or withdrawal on a note. The note's new rev."""
    tx.execute(
        "INSERT INTO amendment (note_key, op_id, received_at) VALUES (:note, :op, :now)",
        {"note": note.note_key, "op": op_id, "now": now},
    )
    record(tx, actor, Verb.ALTERATION, "note", [note.note_id], now=now)
    rev: int = tx.value(
        "UPDATE note SET rev = rev + 1 WHERE note_key = :note RETURNING rev", {"note": note.note_key}
    )
    changes.put(tx, bucket(note.author), "note", note.note_id, rev, ChangeOp.PUT)
    return rev


@impersonal("how a note counts in rules, for the server's own work; the amendment that says so is logged")
def recount(tx: Transaction, note_key: int, facts: Sequence[NoteFact]) -> None:
    """Replace how a note counts for each of its subjects, in their order."""
    tx.executemany(
        "UPDATE subject SET facts = :facts, role = :role WHERE note_key = :note AND ordinal = :ordinal",
        [
            {
                "facts": _facts_encoder.encode(fact),
                "role": fact.role.value,
                "note": note_key,
                "ordinal": ordinal,
            }
            for ordinal, fact in enumerate(facts)
        ],
    )


@audited(Verb.ALTERATION)
def withdraw(tx: Transaction, actor: Actor, note: Stored, op_id: int, *, now: int) -> int:
    """Mark a note as written in error. It stays, and stops counting. The new rev."""
    tx.execute(
        "UPDATE note SET withdrawn_at = :now WHERE note_key = :note AND withdrawn_at IS NULL",
        {"now": now, "note": note.note_key},
    )
    rev = amend(tx, actor, note, op_id, now=now)
    set_status(tx, [note.note_id], Status.WITHDRAWN)
    return rev


@impersonal("a status word for the author; says nothing of a child")
def set_status(tx: Transaction, note_ids: Sequence[str], status: Status) -> None:
    """Say what became of notes, and let their authors' phones know.

    A status never goes back: a note that was seen stays so when its link is decided afterwards, and a
    withdrawn note is withdrawn.
    """
    kept = ", ".join(
        f"'{other.value}'" for other in Status if other is status or _WEIGHT[other] > _WEIGHT[status]
    )
    for note_id in note_ids:
        row = tx.row(
            f"UPDATE note SET status = :status, rev = rev + 1 WHERE note_id = :note AND status NOT IN ({kept})"
            " RETURNING author, rev",
            {"status": status.value, "note": note_id},
        )
        if row is not None:
            changes.put(tx, bucket(row[0]), "note", note_id, row[1], ChangeOp.PUT)


@audited(Verb.DISCLOSURE)
def send_own(
    tx: Transaction, actor: Actor, author: str, note_ids: Sequence[str], *, now: int
) -> dict[str, tuple[int, dict[str, object]]]:
    """By note id, the (rev, data) that the author's phone is sent; notes of others are left out."""
    if not note_ids:
        return {}
    sent = {
        row[0]: (row[1], {"status": row[2], "received_at": row[3], **_came_of_it(*row[4:])})
        for row in tx.rows(
            "SELECT note_id, rev, status, received_at, outcome, told_author, outcome_at FROM note"
            f" WHERE note_id IN {tx.each('ids')} AND author = :author",
            {"author": author, "ids": msgspec.json.encode(note_ids).decode()},
        )
    }
    if sent:
        record(
            tx, actor, Verb.DISCLOSURE, "note", sorted(sent), now=now, recipients=[author], index_later=True
        )
    return sent


def _came_of_it(outcome: str | None, words: str | None, at: int | None) -> dict[str, object]:
    """What an author hears of the outcome; nothing before there is one."""
    return {} if outcome is None else {"outcome": outcome, "outcome_words": words, "outcome_at": at}


@impersonal("ids and revisions for the phone's checksum")
def own_revisions(tx: Transaction, author: str) -> list[tuple[str, str, int]]:
    """(kind, id, rev) of every note of an officer, for the checkpoint."""
    return [
        ("note", note_id, rev)
        for note_id, rev in tx.rows(
            "SELECT note_id, rev FROM note WHERE author = :author", {"author": author}
        )
    ]


@audited(Verb.CONSULTATION)
def about_child(tx: Transaction, person: Person, child_id: int, *, now: int) -> list[Written]:
    """The notes on a child's timeline, newest observed first. Ask `children_shown.require_sight` before."""
    rows = tx.rows(
        f"{_WRITTEN} WHERE s.child_id IN {WHOLE} ORDER BY n.observed_at DESC, n.note_key DESC LIMIT :most",
        {"child": child_id, "most": TIMELINE_NOTES_MAX},
    )
    return _shown(tx, person, rows, now)


@audited(Verb.CONSULTATION)
def of_subject(tx: Transaction, person: Person, subject_id: int, *, now: int) -> Written | None:
    """The note that describes a subject, for a reviewer."""
    shown = _shown(tx, person, tx.rows(_WRITTEN + " WHERE s.subject_id = :id", {"id": subject_id}), now)
    return shown[0] if shown else None


@impersonal("the subject's standardised description, for the server's own work")
def subject_record(tx: Transaction, subject_id: int) -> tuple[Record, int, int]:
    """A subject's (record, note number, place in the note)."""
    row = tx.row("SELECT record, note_key, ordinal FROM subject WHERE subject_id = :id", {"id": subject_id})
    assert row is not None, "a subject is never deleted"
    return _record_decoder.decode(row[0]), row[1], row[2]


@impersonal("numbers only")
def subjects_of(tx: Transaction, note_key: int) -> list[tuple[int, int]]:
    """(subject, child it stands on) for each subject of a note, in the note's order."""
    return [
        (subject_id, child_id)
        for subject_id, child_id in tx.rows(
            "SELECT subject_id, child_id FROM subject WHERE note_key = :note ORDER BY ordinal",
            {"note": note_key},
        )
    ]


@impersonal("the note as its author wrote it, for the server's own work; nothing is shown")
def body_of_subject(tx: Transaction, subject_id: int) -> tuple[Note, int]:
    """The note that a subject is in, and the subject's place in it (from 0)."""
    row = tx.row(
        "SELECT o.line, s.ordinal FROM subject s JOIN note n ON n.note_key = s.note_key"
        " JOIN op o ON o.op_id = n.op_id WHERE s.subject_id = :id",
        {"id": subject_id},
    )
    assert row is not None, "a subject is never deleted"
    body = body_of(parse_envelope(bytes(row[0])))
    assert isinstance(body, Note)
    return body, row[1]


@impersonal("the note as its author describes it now, for the server's own work; nothing is shown")
def newest_body(tx: Transaction, subject_id: int) -> tuple[Note, int]:
    """The same as of the newest amendment that writes the note anew."""
    note, ordinal = body_of_subject(tx, subject_id)
    for (line,) in tx.rows(
        "SELECT o.line FROM subject s JOIN amendment a ON a.note_key = s.note_key JOIN op o ON o.op_id = a.op_id"
        " WHERE s.subject_id = :id ORDER BY a.amendment_id",
        {"id": subject_id},
    ):
        envelope = parse_envelope(bytes(line))
        said = body_of(envelope)
        if isinstance(said, Amendment) and said.note is not None and ordinal < len(said.note.subjects):
            note = said.note
    return note, ordinal


@impersonal("an id")
def id_of_subject(tx: Transaction, subject_id: int) -> str:
    """The note that a subject is in."""
    note_id: str = tx.value(
        "SELECT n.note_id FROM subject s JOIN note n ON n.note_key = s.note_key WHERE s.subject_id = :id",
        {"id": subject_id},
    )
    return note_id


@impersonal("one time, nothing of a child")
def last_received_at(tx: Transaction) -> int | None:
    """When the newest note came, to whatever borough."""
    newest: int | None = tx.value("SELECT received_at FROM note ORDER BY note_key DESC LIMIT 1")
    return newest


@impersonal("counts only")
def count(tx: Transaction) -> int:
    """How many notes are stored."""
    total: int = tx.value("SELECT COUNT(*) FROM note")
    return total


_WRITTEN = (
    "SELECT n.note_key, n.note_id, n.author, n.author_name, n.found_borough, n.observed_at,"
    " n.observed_doubtful, n.recorded_at, n.received_at, n.withdrawn_at, s.subject_id, s.ordinal, s.role, o.line"
    " FROM subject s JOIN note n ON n.note_key = s.note_key JOIN op o ON o.op_id = n.op_id"
)


def _shown(tx: Transaction, person: Person, rows: Sequence[tuple[Any, ...]], now: int) -> list[Written]:
    written = [_written(tx, row) for row in rows]
    if written:
        ids = [note.note_id for note in written]
        record(tx, Actor("person", person.username), Verb.CONSULTATION, "note", ids, now=now)
    return written


def _written(tx: Transaction, row: tuple[Any, ...]) -> Written:
    (note_key, note_id, author, author_name, found_borough, observed_at, doubtful, recorded_at, received_at,
     withdrawn_at, subject_id, ordinal, role, line) = row  # fmt: skip
    body = body_of(parse_envelope(bytes(line)))
    assert isinstance(body, Note), "the op that a note came in writes one"
    amendments = []
    for amending, at in tx.rows(
        "SELECT o.line, a.received_at FROM amendment a JOIN op o ON o.op_id = a.op_id"
        " WHERE a.note_key = :note ORDER BY a.amendment_id",
        {"note": note_key},
    ):
        envelope = parse_envelope(bytes(amending))
        said = body_of(envelope)
        if isinstance(said, Amendment | Withdrawal):
            amendments.append(Amended(received_at=at, body=said))
    return Written(
        note_key=note_key,
        note_id=note_id,
        author=author,
        author_name=author_name,
        found_borough=found_borough,
        observed_at=observed_at,
        observed_doubtful=bool(doubtful),
        recorded_at=recorded_at,
        received_at=received_at,
        withdrawn_at=withdrawn_at,
        subject_id=subject_id,
        ordinal=ordinal,
        role=SubjectRole(role),
        body=body,
        amendments=tuple(amendments),
    )
