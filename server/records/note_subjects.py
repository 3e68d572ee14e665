"""Subjects of notes: how each is described, what the rules take from it, and which child it stands on."""

from collections.abc import Sequence

import msgspec

from server.audit import impersonal
from server.casework.facts import NoteFact
from server.linkage.standardise import Record
from server.records.links import BY_STAKE
from server.records.whole import WHOLE
from server.storage.port import Transaction
from sync.note import Amendment, Note
from sync.operations import body_of, parse_envelope

_facts_encoder = msgspec.msgpack.Encoder()
_facts_decoder = msgspec.msgpack.Decoder(NoteFact)
_record_encoder = msgspec.msgpack.Encoder()
_record_decoder = msgspec.msgpack.Decoder(Record)


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
    for encoded, withdrawn_at, apart, event in tx.rows(
        "SELECT s.facts, n.withdrawn_at, s.apart, s.event FROM subject s JOIN note n ON n.note_key = s.note_key"
        f" WHERE {condition} ORDER BY n.note_key",
        {"child": child_id},
    ):
        fact = _facts_decoder.decode(encoded)
        if apart or event is not None or withdrawn_at is not None:
            fact = msgspec.structs.replace(
                fact, withdrawn=withdrawn_at is not None, apart=bool(apart), event=event
            )
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


@impersonal("the subject's standardised description, for the server's own work")
def subject_record(tx: Transaction, subject_id: int) -> tuple[Record, int, int]:
    """A subject's (record, note number, place in the note)."""
    row = tx.row("SELECT record, note_key, ordinal FROM subject WHERE subject_id = :id", {"id": subject_id})
    assert row is not None, "a subject is never deleted"
    return _record_decoder.decode(row[0]), row[1], row[2]


@impersonal("standardised descriptions, for the server's own work; nothing is shown")
def waiting_subjects(tx: Transaction, most: int) -> list[tuple[int, int, Record]]:
    """(subject, record that holds it, its description) of the reviews that wait anywhere, by what is at stake."""
    rows = tx.rows(
        "SELECT r.subject_id, s.child_id, s.record FROM review r JOIN subject s ON s.subject_id = r.subject_id"
        f" WHERE r.closed_at IS NULL {BY_STAKE} LIMIT :most",
        {"most": most},
    )
    return [(subject_id, child_id, _record_decoder.decode(encoded)) for subject_id, child_id, encoded in rows]


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
