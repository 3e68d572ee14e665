"""What became of a note, as the server said at the last sync, in words for the officer who wrote it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from client_stub.store import Item
from sync.envelope import Code, Outcome
from sync.operations import Kind
from sync.vocabulary import NOTE_OUTCOME_LABELS, NoteOutcome

STATUS_WORDS = {
    "received": "Received",
    "linked": "Received, linked to a child the police know",
    "in_review": "Received, a person is deciding which child it is about",
    "new_child": "Received, a record was begun for this child",
    "seen": "Seen by the borough",
    "decided": "Seen by the borough, which has decided what to do",
    "withdrawn": "Withdrawn",
}


class Became(msgspec.Struct, frozen=True):
    """Where the server has a note, and what its borough decided: a code, and words for its author where it gave any."""

    status: str = ""
    outcome: str | None = None
    outcome_words: str | None = None

    @classmethod
    def of(cls, data: Mapping[str, object]) -> Became:
        """From the row that the phone was sent. A newer server may say what this release does not know."""
        outcome, words = data.get("outcome"), data.get("outcome_words")
        return cls(
            str(data.get("status", "")),
            outcome if isinstance(outcome, str) else None,
            words if isinstance(words, str) else None,
        )

    @property
    def sentence(self) -> str:
        """In words: where it is, then what was decided."""
        said = STATUS_WORDS.get(self.status, "Received")
        if self.outcome in set(NoteOutcome):
            said = f"Seen by the borough. {NOTE_OUTCOME_LABELS[NoteOutcome(self.outcome)]}"
        return f"{said}: {self.outcome_words}" if self.outcome_words else said


class Decision(msgspec.Struct, frozen=True):
    """What a person decided of an entry that was set aside, known by the digest of its bytes. Times in ms; `phone` is
    what the device that handed it in is called."""

    digest: str
    refused: bool
    reason: str = ""
    decided_at: int = 0
    received_at: int = 0
    phone: str = ""

    @classmethod
    def of(cls, data: Mapping[str, object]) -> Decision:
        """From the row that the phone was sent."""
        reason, phone = data.get("reason"), data.get("phone")
        times = (data.get("decided_at"), data.get("received_at"))
        decided_at, received_at = (at if isinstance(at, int) else 0 for at in times)
        return cls(
            str(data.get("sha256", "")),
            data.get("decision") == "refused",
            reason if isinstance(reason, str) else "",
            decided_at,
            received_at,
            phone if isinstance(phone, str) else "",
        )

    @property
    def sentence(self) -> str:
        """In words for the officer whose entry it is."""
        if not self.refused:
            return "Received, released by a person"
        return f"Received, not taken: {self.reason}" if self.reason else "Received, not taken"


def set_aside(item: Item, became: Became | None, decided: Decision | None = None) -> bool:
    """Whether an entry waits at the server for a person to decide about it. A note of which the server says
    what became of it has been released since; only where another note has its id is that said of the other one."""
    if item.outcome != Outcome.QUARANTINED:
        return False
    return decided is None and (
        became is None or item.kind != Kind.NOTE_WRITE or item.code == Code.ENTITY_TAKEN
    )
