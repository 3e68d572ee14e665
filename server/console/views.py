"""The shapes that templates take. Controllers make them from records; templates see nothing else.

Instants are whole milliseconds UTC and become words in the template through `words`. Text is plain and is
escaped by Jinja. Lists arrive in the order in which they are to be shown.
"""

import datetime
from typing import Literal

import msgspec

Grade = Literal["red", "amber", "green", "blue"]
GRADES: tuple[Grade, ...] = ("red", "amber", "green", "blue")
Verdict = Literal["agree", "near", "differ", "missing"]
AlertState = Literal["new", "acknowledged", "transfer", "closed"]
CANDIDATES_MAX = 5
"""More than five cannot be compared side by side, and one key each would run out."""


class View(msgspec.Struct, frozen=True):
    """Base of everything a template takes."""


# --- the frame around every page -------------------------------------------------------------------------


class NavItem(View, kw_only=True):
    """One place in the navigation. `count` is what waits there; None shows no number."""

    label: str
    href: str
    current: bool = False
    count: int | None = None


class Notice(View, kw_only=True):
    """What the last action did, shown once at the top. `undo` posts to `undo_href` when given."""

    text: str
    kind: Literal["done", "warning"] = "done"
    undo_href: str | None = None


class Shell(View, kw_only=True):
    """What the base layout needs. `person` is None before sign-in."""

    now: int
    csrf_token: str = ""
    person: str | None = None
    role: str | None = None
    nav: tuple[NavItem, ...] = ()
    notice: Notice | None = None


class SignInPage(View, kw_only=True):
    """`error` says what is wrong without saying whether the name or the password was."""

    username: str = ""
    error: str | None = None
    next: str = ""


class HomePage(View, kw_only=True):
    """For roles whose pages are not in the console yet: what they can do, and where."""

    role: str
    links: tuple[NavItem, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()
    """Commands that this role uses for now, each with what it does."""


class ErrorPage(View, kw_only=True):
    """A failed request in words: what is wrong, what to do, and a reference for whoever helps."""

    status: int
    heading: str
    what: str
    todo: str
    reference: str | None = None
    retry: bool = False


# --- the queue -------------------------------------------------------------------------------------------


class QueueRow(View, kw_only=True):
    """One alert. `owner` None means that nobody has it."""

    alert_id: int
    rev: int = 0
    grade: Grade
    raised_at: int
    deadline_at: int | None
    late_on_arrival_ms: int | None = None
    """How much later than its clock the note arrived: the phone's delay, not the reader's."""
    why: str
    child_id: int
    child_name: str
    """First name, or "Name not known"."""
    child_age: str | None = None
    place: str | None = None
    """Borough or ward, where it is not the queue's own borough."""
    owner: str | None = None
    owner_is_me: bool = False
    state: AlertState = "new"
    state_words: str = "Not acknowledged"
    acknowledged_at: int | None = None
    escalated_to: str | None = None
    can_acknowledge: bool = False
    can_hand_over: bool = False
    is_copy: bool = False
    """Sent for information: another borough owns it."""


class Choice(View, kw_only=True):
    """One option of a filter: a link when used alone, a box or an option inside a form."""

    value: str
    label: str
    selected: bool = False
    href: str = ""
    count: int | None = None


class QueueFilters(View, kw_only=True):
    """Filters as they stand in the URL: `?view=open&grade=red&grade=amber&owner=me`."""

    views: tuple[Choice, ...]
    """Open, mine, nobody's, acknowledged, closed: shown as tabs with counts."""
    view: str
    grades: tuple[Choice, ...]
    owners: tuple[Choice, ...]
    boroughs: tuple[Choice, ...] = ()
    """Empty for somebody with one borough."""
    narrowed: str | None = None
    """The filter in words ("red and amber, owned by nobody"), or None when nothing is filtered away."""


class QueuePage(View, kw_only=True):
    """The investigator's first page. Rows: red first, then least time left."""

    heading: str
    """"Alerts in Lambeth"."""
    rows: tuple[QueueRow, ...]
    filters: QueueFilters
    grade_counts: tuple[tuple[Grade, int], ...] = ()
    late: int = 0
    last_note_at: int | None = None
    last_event_id: str = ""
    here: str = "/alerts"
    """Path and query of this page, to come back to."""
    more_href: str | None = None


class HandOverPage(View, kw_only=True):
    """Give an alert to somebody else. The sender owns it until the receiver accepts."""

    row: QueueRow
    recipients: tuple[Choice, ...]
    error: str | None = None
    reason: str = ""


# --- the explanation of a link ---------------------------------------------------------------------------


class FieldComparison(View, kw_only=True):
    """One field, as the note describes it and as the record has it. `weight` is in bits."""

    label: str
    described: str | None
    known: str | None
    verdict: Verdict
    weight: float = 0.0
    remark: str | None = None
    """Why near or differ, in words: "sounds the same", "day and month swapped", "a common name here"."""


class Explanation(View, kw_only=True):
    """Why a note was, or might be, this child's. `start_weight` is before any field was looked at."""

    probability: float
    start_weight: float
    fields: tuple[FieldComparison, ...]
    total_weight: float
    household: str | None = None
    """"Same address and surname: could be a brother." None when no household explains the likeness."""
    household_probability: float | None = None
    rules: tuple[str, ...] = ()
    """Hard rules that applied, in words: "No given name: never linked automatically."."""
    model_version: str = ""


# --- the child -------------------------------------------------------------------------------------------


class Marker(View, kw_only=True):
    """An attribute of a child with author, reason and expiry."""

    label: str
    tone: Literal["red", "amber", "plain"] = "plain"
    reason: str = ""
    author: str = ""
    expires_at: int | None = None


class Fact(View, kw_only=True):
    """One thing known about a child, and where it is known from."""

    label: str
    value: str
    source: str | None = None
    uncertain: bool = False


class Identity(View, kw_only=True):
    """The identity bar. `uncertain` are sentences, shown beside the name."""

    child_id: int
    name: str
    age: str | None = None
    date_of_birth: datetime.date | None = None
    sex: str | None = None
    also_known_as: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    markers: tuple[Marker, ...] = ()
    responsible_authority: str | None = None
    owner: str | None = None
    provisional: bool = False
    restricted: bool = False
    merged_into: int | None = None


class LinkWords(View, kw_only=True):
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


class FlagWords(View, kw_only=True):
    """A flag that a note raised or that an entry is about."""

    flag_id: int
    label: str
    grade: Grade


class NoteEntry(View, kw_only=True):
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
    attachments: tuple[str, ...] = ()
    same_incident_as: str | None = None
    """Where another officer's note tells of the same incident."""

    @property
    def kind(self) -> str:
        return "note"

    @property
    def at(self) -> int:
        return self.observed_at

    @property
    def anchor(self) -> str:
        return f"note-{self.note_id}"


class Amendment(View, kw_only=True):
    """What the author of a note added or corrected later."""

    at: int
    author: str
    reason: str
    text: str = ""


class FlagEntry(View, kw_only=True):
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

    @property
    def kind(self) -> str:
        return "flag"

    @property
    def anchor(self) -> str:
        return f"flag-{self.flag_id}"


class Event(View, kw_only=True):
    """One step in the life of a flag: "Told Insp Grant (borough supervisor)"."""

    at: int
    text: str
    tone: Literal["plain", "late", "done"] = "plain"


class RecordEntry(View, kw_only=True):
    """Something done to the record itself: created, merged, unmerged, marker set, review decided."""

    entry_id: str
    at: int
    title: str
    author: str
    detail: str | None = None
    link: LinkWords | None = None

    @property
    def kind(self) -> str:
        return "record"

    @property
    def anchor(self) -> str:
        return f"entry-{self.entry_id}"


TimelineEntry = NoteEntry | FlagEntry | RecordEntry


class Person(View, kw_only=True):
    """Somebody in the child's life. `child_id` when they are a known child the reader may open."""

    name: str
    relation: str
    detail: str | None = None
    source: str | None = None
    child_id: int | None = None


class Place(View, kw_only=True):
    """A place in the child's life."""

    name: str
    relation: str
    detail: str | None = None


class Look(View, kw_only=True):
    """One consultation of this record, from the audit log."""

    at: int
    person: str
    role: str | None = None
    what: str = "Opened the record"
    reason: str | None = None


class ChildPage(View, kw_only=True):
    """The single view of a child. `story`: newest first; print turns it into a chronology."""

    identity: Identity
    live: tuple[QueueRow, ...] = ()
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


# --- the review ------------------------------------------------------------------------------------------


class ReviewRow(View, kw_only=True):
    """One waiting review in the list. Nothing personal beyond first name and age."""

    review_id: int
    asked_at: int
    subject: str
    why: str
    candidates: int
    best: float
    grade: Grade | None = None


class ReviewListPage(View, kw_only=True):
    """Doubtful links that wait for a person, most pressing first."""

    heading: str
    rows: tuple[ReviewRow, ...]
    decided_today: int = 0


class SubjectColumn(View, kw_only=True):
    """The subject as the officer described it, with the words of the note around it."""

    name: str
    fields: tuple[tuple[str, str | None], ...]
    """(label, value) in the same order and number as every candidate's fields."""
    note: NoteEntry


class CandidateColumn(View, kw_only=True):
    """One known child who might be the subject."""

    child_id: int
    position: int
    """1 to 5: the key that selects it."""
    name: str
    age: str | None = None
    explanation: Explanation
    notes: int = 0
    flags: tuple[FlagWords, ...] = ()
    ruled_out: str | None = None
    """Set when somebody has said "not the same child": who and when."""


class ReviewPage(View, kw_only=True):
    """One doubtful link. `rev` guards against two people deciding at once."""

    review_id: int
    rev: int
    asked_at: int
    why: str
    subject: SubjectColumn
    candidates: tuple[CandidateColumn, ...]
    new_probability: float
    waiting: int = 0
    """How many reviews wait after this one."""
    decided: str | None = None
    """What was decided, by whom; the page is then for reading and undoing."""
    can_undo: bool = False
    next_href: str | None = None
