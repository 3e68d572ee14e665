"""What came of notes: said by the borough that closes a duty, heard by the authors at their next sync."""

from collections.abc import Sequence

from server.audit import impersonal
from server.records import changes, notes
from server.storage.port import Transaction
from sync.envelope import ChangeOp
from sync.vocabulary import NoteOutcome


@impersonal("a code and words for the author of a note; the duty that is closed is logged where it is")
def tell(
    tx: Transaction, note_ids: Sequence[str], outcome: NoteOutcome, words: str | None, *, now: int
) -> None:
    """Let the authors of these notes hear what came of them. Of several outcomes the newest holds."""
    for note_id in note_ids:
        row = tx.row(
            "UPDATE note SET outcome = :outcome, told_author = :words, outcome_at = :now, rev = rev + 1"
            " WHERE note_id = :note AND withdrawn_at IS NULL RETURNING author, rev, note_key",
            {"outcome": outcome.value, "words": words, "now": now, "note": note_id},
        )
        if row is not None:
            changes.put(tx, notes.bucket(row[0]), "note", note_id, row[1], ChangeOp.PUT, note_key=row[2])
