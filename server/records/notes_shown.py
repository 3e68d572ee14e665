"""Concern notes as a person reads them: on a child's timeline, and in a review."""

from collections.abc import Sequence
from typing import Any

import msgspec

from server.access.identity import Person
from server.audit import Actor, Verb, audited, record
from server.records.whole import WHOLE
from server.storage.port import Transaction
from sync.note import Amendment, Note, Withdrawal
from sync.operations import body_of, parse_envelope
from sync.vocabulary import SubjectRole

TIMELINE_NOTES_MAX = 500
"""Notes shown for one child at once; a child with more has a page of its own for the oldest."""


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
