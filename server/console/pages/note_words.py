"""A note in its officer's words, as pages show it: on a child's timeline and in a review."""

from __future__ import annotations

from server.console import words
from server.console.pages.alert_rows import Telling
from server.console.views_child import (
    Amendment,
    Attachment,
    FlagWords,
    LinkWords,
    NoteEntry,
)
from server.records.notes_shown import Amended, Written
from sync.note import Amendment as AmendedBody
from sync.note import MissingEpisode, Note, Subject
from sync.vocabulary import CATEGORY_LABELS, ChildSeen, RiskLevel, SubjectRole, phrases_to_reconsider

ROLES = {
    SubjectRole.CHILD_OF_CONCERN: "Child of concern",
    SubjectRole.VICTIM: "Victim",
    SubjectRole.WITNESS: "Witness",
    SubjectRole.SUSPECT: "Suspect",
    SubjectRole.SIBLING: "Brother or sister",
    SubjectRole.OTHER: "In the note",
}
SEEN = {
    ChildSeen.SEEN: "Seen, not alone",
    ChildSeen.SEEN_ALONE: "Seen alone",
    ChildSeen.NOT_SEEN: "Not seen",
}
RISKS = {
    RiskLevel.NO_APPARENT_RISK: "no apparent risk",
    RiskLevel.LOW: "low",
    RiskLevel.MEDIUM: "medium",
    RiskLevel.HIGH: "high",
}


def _action(body: Note) -> str | None:
    """What was done, police protection first."""
    began = body.police_protection_from
    # As the phone wrote it: no conversion can fail on a date that cannot be.
    protected = f"Police protection from {began.day} {began:%B %Y, %H:%M}" if began is not None else None
    return ". ".join(said for said in (protected, body.action_taken) if said) or None


def note_entry(
    note: Written,
    telling: Telling,
    *,
    link: LinkWords | None = None,
    flags: tuple[FlagWords, ...] = (),
    attachments: tuple[Attachment, ...] = (),
    attachments_told: str | None = None,
) -> NoteEntry:
    """A note in its officer's words."""
    body = note.body
    subject = body.subjects[note.ordinal] if note.ordinal < len(body.subjects) else None
    withdrawn = next((a for a in note.amendments if not isinstance(a.body, AmendedBody)), None)
    return NoteEntry(
        note_id=note.note_id,
        observed_at=note.observed_at,
        recorded_at=note.recorded_at,
        received_at=note.received_at,
        title=CATEGORY_LABELS[body.category],
        categories=tuple(CATEGORY_LABELS[category] for category in body.categories[1:]),
        author=note.author_name,
        role_in_note=ROLES[note.role],
        place=place_of(body, note.found_borough, telling),
        facts=body.saw_or_heard or None,
        assessment=body.assessment or None,
        voice=body.voice_of_child or None,
        demeanour=body.demeanour or None,
        child_seen=_seen(body),
        danger_now=body.danger_now,
        action_taken=_action(body),
        missing=_missing(body.missing),
        advice=tuple(
            (phrase, better)
            for _, phrase, better in phrases_to_reconsider(f"{body.saw_or_heard}\n{body.assessment}")
        ),
        described_as=described_as(subject) if subject else None,
        link=link,
        flags=flags,
        attachments=attachments,
        attachments_told=attachments_told,
        amendments=tuple(
            _amendment(amended, note.author_name)
            for amended in note.amendments
            if isinstance(amended.body, AmendedBody)
        ),
        withdrawn=None
        if note.withdrawn_at is None
        else f"Withdrawn by its author: {withdrawn.body.reason}"
        if withdrawn
        else "Withdrawn by its author.",
    )


def _amendment(amended: Amended, author: str) -> Amendment:
    body = amended.body
    assert isinstance(body, AmendedBody)
    text = body.text
    if body.note is not None:
        text = "\n".join(part for part in (text, body.note.saw_or_heard, _described_anew(body.note)) if part)
    return Amendment(at=amended.received_at, author=author, reason=body.reason, text=text)


def _described_anew(note: Note) -> str:
    said = [described_as(subject) for subject in note.subjects]
    return "Now described as: " + "; ".join(part for part in said if part) if any(said) else ""


def described_as(subject: Subject) -> str | None:
    """The subject as this note describes them, in one line."""
    born = f"born {words.short_day(subject.date_of_birth)}" if subject.date_of_birth else None
    aged = (
        words.about_age(subject.approximate_age) if subject.approximate_age is not None and not born else None
    )
    name = " ".join(part for part in (subject.given_names, subject.family_name) if part) or None
    known_as = f"known as {words.listed(subject.aliases)}" if subject.aliases else None
    where = ", ".join(part for part in (subject.address, subject.postcode) if part) or None
    parts = (name, known_as, born or aged, where, subject.school, subject.description)
    return ", ".join(part for part in parts if part) or None


def place_of(note: Note, borough: str | None, telling: Telling) -> str | None:
    """Where it was seen, as typed, with the borough where that says more."""
    typed = note.found_at.place if note.found_at else None
    named = telling.borough(borough) if borough else None
    if typed and named and named.casefold() not in typed.casefold():
        return f"{typed}, {named}"
    return typed or named


def _seen(note: Note) -> str | None:
    if note.child_seen is None:
        return None
    said = SEEN[note.child_seen]
    return f"{said}: {note.not_seen_reason}" if note.not_seen_reason else said


def _missing(episode: MissingEpisode | None) -> str | None:
    if episode is None:
        return None
    parts = [
        "Missing"
        if episode.hours is None
        else f"Missing {words.long_duration(round(episode.hours * words.HOUR_MS))}"
    ]
    if episode.risk_level is not None:
        parts.append(f"risk level {RISKS[episode.risk_level]}")
    if episode.returned is not None:
        parts.append("returned" if episode.returned else "not yet returned")
    return ", ".join(parts)
