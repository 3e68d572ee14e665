"""What a note looks like as JSON, with how it came to a child. See `views`."""

from __future__ import annotations

from server.explaining import Compared
from server.http.views import Instant, View, instant, maybe
from server.records.attachments import FormState, Named
from server.records.links import Action, Event
from server.showing import Entry
from sync.note import Amendment, Note
from sync.vocabulary import SubjectRole


class LinkView(View, frozen=True, kw_only=True):
    """How a note came to this child. `evidence`, field by field, where linkage weighed it."""

    subject_id: int
    child_id: int | None
    action: Action
    automatic: bool
    author: str
    at: Instant
    probability: float | None
    reason: str
    evidence: Compared | None


class AmendmentView(View, frozen=True, kw_only=True):
    """What the author added or corrected later. `withdrawn`: that the note was written in error."""

    received_at: Instant
    withdrawn: bool
    reason: str
    text: str
    note: Note | None


class AttachmentView(View, frozen=True, kw_only=True):
    """A photograph or recording that a note names. `kind`: photograph or audio, where that is known.

    `state`: `awaited` (still on the phone), `arrived` (being made ready), `ready` (ask for it), or `unshowable`.
    """

    sha256: str
    kind: str | None
    taken_at: Instant | None
    state: str
    size: int | None


class NoteView(View, frozen=True, kw_only=True):
    """A concern note in its author's words, with how it came to this child."""

    note_id: str
    author: str
    author_name: str
    found_borough: str | None
    observed_at: Instant
    observed_doubtful: bool
    recorded_at: Instant
    received_at: Instant
    withdrawn_at: Instant | None
    role: SubjectRole
    note: Note
    amendments: list[AmendmentView]
    attachments: list[AttachmentView]
    link: LinkView | None


def link_view(event: Event, evidence: Compared | None = None) -> LinkView:
    """A decision on a subject as JSON has it."""
    return LinkView(
        subject_id=event.subject_id,
        child_id=event.child_id,
        action=event.action,
        automatic=event.author == "system",
        author=event.author,
        at=instant(event.at),
        probability=event.probability,
        reason=event.reason,
        evidence=evidence,
    )


def note_view(entry: Entry) -> NoteView:
    """A note on a timeline as JSON has it."""
    written = entry.note
    return NoteView(
        note_id=written.note_id,
        author=written.author,
        author_name=written.author_name,
        found_borough=written.found_borough,
        observed_at=instant(written.observed_at),
        observed_doubtful=written.observed_doubtful,
        recorded_at=instant(written.recorded_at),
        received_at=instant(written.received_at),
        withdrawn_at=maybe(written.withdrawn_at),
        role=written.role,
        note=written.body,
        amendments=[
            AmendmentView(
                received_at=instant(amended.received_at),
                withdrawn=not isinstance(amended.body, Amendment),
                reason=amended.body.reason,
                text=amended.body.text if isinstance(amended.body, Amendment) else "",
                note=amended.body.note if isinstance(amended.body, Amendment) else None,
            )
            for amended in written.amendments
        ],
        attachments=[attachment_view(named) for named in entry.attachments],
        link=link_view(entry.link, entry.evidence) if entry.link else None,
    )


ATTACHMENT_STATES = {
    FormState.WAITING: "arrived",
    FormState.MADE: "ready",
    FormState.FAILED: "unshowable",
}


def attachment_view(named: Named) -> AttachmentView:
    """An attachment of a note as JSON has it."""
    kept = named.kept
    return AttachmentView(
        sha256=named.digest,
        kind=named.kind.value if named.kind else None,
        taken_at=maybe(named.taken_at),
        state=ATTACHMENT_STATES[kept.form_state] if kept else "awaited",
        size=kept.size if kept else None,
    )
