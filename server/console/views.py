"""The shapes that templates take: the frame, sign-in, errors and the queue.

`views_child` and `views_review` hold the rest. Controllers make them from records; templates see nothing
else.

Instants are whole milliseconds UTC and become words in the template through `words`. Text is plain and is
escaped by Jinja. Lists arrive in the order in which they are to be shown.
"""

from typing import Literal

import msgspec

Grade = Literal["red", "amber", "green", "blue"]
GRADES: tuple[Grade, ...] = ("red", "amber", "green", "blue")
AlertState = Literal["new", "acknowledged", "transfer", "closed"]


class View(msgspec.Struct, frozen=True):
    """Base of everything a template takes."""


class ShareWords(View, frozen=True, kw_only=True):
    """Of the identifiable subjects of the last `days` days, how many linkage left to a person; `most` is the
    share from which it is too much."""

    identifiable: int
    left: int
    share: float
    most: float
    too_much: bool
    days: int


# --- the frame around every page -------------------------------------------------------------------------


class NavItem(View, frozen=True, kw_only=True):
    """One place in the navigation. `count` is what waits there, or at least waits there; None shows no number."""

    label: str
    href: str
    current: bool = False
    count: int | None = None
    or_more: bool = False


class Notice(View, frozen=True, kw_only=True):
    """What the last action did, shown once at the top. `undo` posts `undo_decision` to `undo_href` when given."""

    text: str
    kind: Literal["done", "warning"] = "done"
    undo_href: str | None = None
    undo_decision: str | None = None


class Shell(View, frozen=True, kw_only=True):
    """What the base layout needs. `person` is None before sign-in."""

    now: int
    csrf_token: str = ""
    person: str | None = None
    role: str | None = None
    nav: tuple[NavItem, ...] = ()
    own: tuple[NavItem, ...] = ()
    """The person's own settings, at the foot of the page."""
    notice: Notice | None = None


class SignInPage(View, frozen=True, kw_only=True):
    """`error` says what is wrong without saying whether the name or the password was."""

    username: str = ""
    error: str | None = None
    next: str = ""


class PasswordPage(View, frozen=True, kw_only=True):
    """One's own password. `wrong_field` is "old", "new" or "again", the field that `error` is about."""

    must_change: bool = False
    least: int
    wrong_field: str | None = None
    error: str | None = None


class RestrictedPage(View, frozen=True, kw_only=True):
    """A restricted record asks for a reason before it is shown. Says nothing of the child."""

    least: int
    error: str | None = None
    reason: str = ""
    action: str
    """Where the reason is sent."""
    other: str = ""
    """The number of a second record, where two are to be opened."""


class HomePage(View, frozen=True, kw_only=True):
    """For roles whose pages are not in the console yet: what they can do, and where."""

    role: str
    links: tuple[NavItem, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()
    """Commands that this role uses for now, each with what it does."""
    share: ShareWords | None = None
    """How much linkage leaves to a person, for those who run the server."""


class ErrorPage(View, frozen=True, kw_only=True):
    """A failed request in words: what is wrong, what to do, and a reference for whoever helps."""

    status: int
    heading: str
    what: str
    todo: str
    reference: str | None = None
    retry: bool = False


# --- the queue -------------------------------------------------------------------------------------------


class QueueRow(View, frozen=True, kw_only=True):
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
    waits_for: str | None = None
    """Whose answer it waits for until `waits_until`, in words: "the supervisor", a name, "you"."""
    waits_until: int | None = None
    came_from: str | None = None
    """Whose it was until they were away or gone, while nobody has answered since."""
    escalated: bool = False
    """Somebody above was told because nobody answered."""
    can_acknowledge: bool = False
    can_hand_over: bool = False
    can_close: bool = False
    can_grade: bool = False
    was_grade: Grade | None = None
    """The highest grade that it had, where a supervisor lowered it since."""
    due_at: int | None = None
    due_words: str | None = None
    """A clock of its own beside the grade's: "Police protection ends"."""
    is_copy: bool = False
    """Sent for information: another borough owns it."""
    can_transfer: bool = False
    offered: str | None = None
    """Another borough is asked to take it: to which, by which and since when. It stays where it is until then."""
    offered_at: int | None = None
    offer_asks: str | None = None
    """What the reader can do about the offer, as the words of a link."""
    other_force: bool = False
    """In the other-force queue: who was rung is written down on a page of its own."""


class Choice(View, frozen=True, kw_only=True):
    """One option of a filter: a link when used alone, a box or an option inside a form."""

    value: str
    label: str
    selected: bool = False
    href: str = ""
    count: int | None = None


class QueueFilters(View, frozen=True, kw_only=True):
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


class QueuePage(View, frozen=True, kw_only=True):
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
    capped: int | None = None
    """Set when there may be more than this many, of which only the most pressing are shown."""


class ClosePage(View, frozen=True, kw_only=True):
    """End an alert with what was decided."""

    row: QueueRow
    least: int
    error: str | None = None
    decision: str = ""
    outcomes: tuple[Choice, ...] = ()
    to_author: str = ""


class HandOverPage(View, frozen=True, kw_only=True):
    """Give an alert to somebody else, who owns it at once."""

    row: QueueRow
    recipients: tuple[Choice, ...]
    error: str | None = None
    reason: str = ""
