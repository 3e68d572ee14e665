"""The shapes of a child's page: who, the story, and why each note is on it. See `views` for the rules."""

import datetime
from typing import Literal

from server.console.views import Choice, Grade, QueueRow, View
from server.linkage.explain import Step

Verdict = Literal["agree", "near", "differ", "missing"]


class FieldComparison(View, frozen=True, kw_only=True):
    """One field, as the note describes it and as the record has it. `weight` is in bits.

    `described_read` and `known_read` are what linkage made of each, None where it reads it as written and ""
    where it could make nothing of it.
    """

    label: str
    described: str | None
    described_read: str | None = None
    known: str | None
    known_read: str | None = None
    verdict: Verdict
    weight: float = 0.0
    remark: str | None = None
    """Why near or differ, in words: "sounds the same", "day and month swapped"."""
    rarity: str | None = None
    """What of the weight comes from how common the name is: "a common name: counts less"."""
    now: str | None = None
    """What it would be today, where that is something else: "now near, +3.1: a short form"."""
    left: float = 50.0
    width: float = 0.0
    """The weight as a bar on a scale of 0 to 100 with even odds in the middle."""


class Explanation(View, frozen=True, kw_only=True):
    """Why a note was, or might be, this child's: each field, and the whole waterfall in `steps`."""

    probability: float | None
    fields: tuple[FieldComparison, ...]
    steps: tuple[Step, ...] = ()
    total_weight: float = 0.0
    changed: str | None = None
    """What has changed since it was decided, where it would be weighed otherwise today."""
    total_now: float | None = None
    not_compared: str | None = None
    """The fields that one side does not have, in words."""
    household: str | None = None
    """"Same address and surname: could be a brother." None when no household explains the likeness."""
    household_weight: float = 0.0
    """What that a brother or sister would fit as well takes away, in bits: 0 or less."""
    rules: tuple[str, ...] = ()
    """Hard rules that applied, in words: "No given name: never linked automatically."."""
    model_version: str = ""


class Marker(View, frozen=True, kw_only=True):
    """An attribute of a child with author, reason and expiry."""

    label: str
    tone: Literal["red", "amber", "plain"] = "plain"
    reason: str = ""
    author: str = ""
    expires_at: int | None = None


class Fact(View, frozen=True, kw_only=True):
    """One thing known about a child, and where it is known from."""

    label: str
    value: str
    source: str | None = None
    uncertain: bool = False


class Identity(View, frozen=True, kw_only=True):
    """The identity bar. `uncertain` are sentences, shown beside the name."""

    child_id: int
    name: str
    age: str | None = None
    date_of_birth: datetime.date | None = None
    sex: str | None = None
    also_known_as: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    markers: tuple[Marker, ...] = ()
    records: tuple[int, ...] = ()
    """The numbers of the records that are this child, the kept one first."""
    may_merge: bool = False
    case: str | None = None
    """The open case and its lead, or that there is none, for those who work cases."""
    responsible_authority: str | None = None
    owner: str | None = None
    provisional: bool = False
    restricted: bool = False


class LinkWords(View, frozen=True, kw_only=True):
    """How an entry came to be on this child's record, with its explanation where there is one."""

    link_id: int
    automatic: bool
    author: str
    at: int
    probability: float | None = None
    explanation: Explanation | None = None
    undone: str | None = None
    """Set when the link no longer stands: who undid it, and why."""
    can_undo: bool = False


class FlagWords(View, frozen=True, kw_only=True):
    """A flag that a note raised or that an entry is about."""

    flag_id: int
    label: str
    grade: Grade


class NoteEntry(View, frozen=True, kw_only=True):
    """A concern note in the officer's words."""

    note_id: str
    observed_at: int
    recorded_at: int
    received_at: int
    title: str
    """The primary category."""
    categories: tuple[str, ...] = ()
    """The others."""
    author: str
    role_in_note: str = "Child of concern"
    place: str | None = None
    facts: str | None = None
    assessment: str | None = None
    voice: str | None = None
    demeanour: str | None = None
    child_seen: str | None = None
    """"Seen alone", "Not seen: asleep"."""
    danger_now: bool = False
    action_taken: str | None = None
    missing: str | None = None
    """The missing episode in words: "Missing 26 hours, risk level medium, returned"."""
    advice: tuple[tuple[str, str], ...] = ()
    """Phrases to reconsider, each with other words: shown to the reader, never altering the note."""
    described_as: str | None = None
    """The subject as this note described them."""
    link: LinkWords | None = None
    flags: tuple[FlagWords, ...] = ()
    amendments: tuple["Amendment", ...] = ()
    withdrawn: str | None = None
    attachments: tuple["Attachment", ...] = ()
    attachments_told: str | None = None
    """"2 of 3 photographs have arrived"; None where the note names none."""
    stands_on: int | None = None
    """The number of the record that the note stands on, where it is not the one that the child continues as."""
    same_incident_as: str | None = None
    may_be_one_with: str | None = None
    """Another note that may tell of the same event, and why that is for a person to say."""
    """Where another note tells of the same incident: which, and why they are one; or who said that it is one of its
    own."""
    subject_id: int = 0
    can_part: bool = False
    """The reader may say that it is an event of its own."""
    can_rejoin: bool = False
    """What a person said of it can be taken back."""
    could_join: tuple[tuple[int, str], ...] = ()
    """Other notes that the reader may say tell of the same event: number, and how each is called."""

    @property
    def kind(self) -> str:
        return "note"

    @property
    def at(self) -> int:
        return self.observed_at

    @property
    def anchor(self) -> str:
        return f"note-{self.note_id}"


class Attachment(View, frozen=True, kw_only=True):
    """A photograph or recording that has arrived. The addresses are None where it cannot be shown (yet)."""

    kind: Literal["photograph", "audio"]
    label: str
    """"Photograph 1, taken 4 March at 15:20"."""
    shown_href: str | None = None
    thumbnail_href: str | None = None
    original_href: str | None = None
    remark: str | None = None


class Amendment(View, frozen=True, kw_only=True):
    """What the author of a note added or corrected later."""

    at: int
    author: str
    reason: str
    text: str = ""


class FlagEntry(View, frozen=True, kw_only=True):
    """A flag: what a rule raised, the notes that caused it, and what became of it."""

    flag_id: int
    at: int
    grade: Grade
    title: str
    reason: str
    rule: str
    notes: tuple[tuple[str, str], ...] = ()
    """(anchor, words) of each note that raised it: ("note-3f2a", "Missing, 4 March, PC Okafor")."""
    proposal: str | None = None
    withdrawn: str | None = None
    events: tuple["Event", ...] = ()
    """Who was told, who acknowledged, what was decided: oldest first."""
    beside: tuple["FlagEntry", ...] = ()
    """Other flags raised in the same instant, told in a line each so that the note stays in sight."""

    @property
    def kind(self) -> str:
        return "flag"

    @property
    def anchor(self) -> str:
        return f"flag-{self.flag_id}"


class Event(View, frozen=True, kw_only=True):
    """One step in the life of a flag: "Told Insp Grant (borough supervisor)"."""

    at: int
    text: str
    tone: Literal["plain", "late", "done"] = "plain"


class RecordEntry(View, frozen=True, kw_only=True):
    """Something done to the record itself: created, merged, unmerged, marker set, review decided."""

    entry_id: str
    at: int
    title: str
    author: str
    detail: str | None = None
    link: LinkWords | None = None
    undoes: int | None = None
    """The decision on records that can be undone here; `undo_label` says how."""
    undo_label: str = "Undo"

    @property
    def kind(self) -> str:
        return "record"

    @property
    def anchor(self) -> str:
        return f"entry-{self.entry_id}"


TimelineEntry = NoteEntry | FlagEntry | RecordEntry


class Person(View, frozen=True, kw_only=True):
    """Somebody in the child's life. `child_id` when they are a known child the reader may open."""

    name: str
    relation: str
    detail: str | None = None
    source: str | None = None
    child_id: int | None = None


class Place(View, frozen=True, kw_only=True):
    """A place in the child's life."""

    name: str
    relation: str
    detail: str | None = None


class Look(View, frozen=True, kw_only=True):
    """One consultation of this record, from the audit log."""

    at: int
    person: str
    role: str | None = None
    what: str = "Opened the record"
    reason: str | None = None


class ChildPage(View, frozen=True, kw_only=True):
    """The single view of a child. `story`: newest first; print turns it into a chronology."""

    identity: Identity
    live: tuple[QueueRow, ...] = ()
    also: tuple[FlagWords, ...] = ()
    """Flags that hold and that no live alert names: gravest first."""
    live_reviews: tuple[tuple[int, str], ...] = ()
    """(review id, words) of doubtful links that wait on this child."""
    story: tuple[TimelineEntry, ...] = ()
    facts: tuple[Fact, ...] = ()
    people: tuple[Person, ...] = ()
    places: tuple[Place, ...] = ()
    looks: tuple[Look, ...] = ()
    looks_total: int = 0
    earlier_href: str | None = None
    """Where older entries are, when not all fit."""
    here: str = ""


class GradePage(View, frozen=True, kw_only=True):
    """Give an alert a grade, with the rationale, beside what is known: the newest notes about the child.

    `proposed` is what the rules say. `notes_total` counts those of all events, `events` the events. `withheld`: the
    record asks for a reason first, so its notes are not here.
    """

    row: QueueRow
    choices: tuple[Choice, ...]
    proposed: Grade | None
    least: int
    error: str | None = None
    wrong_field: str | None = None
    rationale: str = ""
    notes: tuple[NoteEntry, ...] = ()
    notes_total: int = 0
    events: int = 0
    withheld: bool = False
