"""The shapes of the administrator's pages: phones, what was set aside, people, and rules."""

from server.console.views import Choice, View


class PhoneRow(View, frozen=True, kw_only=True):
    """A phone in the list. Times in ms; `clock` and `owes` are words; `active` where it may be revoked or wiped."""

    device_id: str
    name: str
    officer: str
    place: str
    state: str
    last_seen_at: int | None
    version: str | None
    owes: str | None
    holds: int
    clock: str | None
    clock_wrong: bool
    may_revoke: bool
    may_wipe: bool
    wipe_ordered_at: int | None
    wipe_begun_at: int | None
    wiped_at: int | None


class PhonesPage(View, frozen=True, kw_only=True):
    rows: tuple[PhoneRow, ...]
    owing: int


class HeldRow(View, frozen=True, kw_only=True):
    """A line that was set aside, or was: `decision` is missing while it waits."""

    number: int
    received_at: int
    phone: str
    officer: str | None
    what: str
    why: str
    to_do: str
    decision: str | None
    decided_at: int | None
    decided_by: str | None
    reason: str | None


class QuarantinePage(View, frozen=True, kw_only=True):
    """`wrong` is the number of the line whose form `error` belongs to."""

    waiting: tuple[HeldRow, ...]
    decided: tuple[HeldRow, ...]
    least: int
    wrong: int | None = None
    error: str | None = None


class AccountRow(View, frozen=True, kw_only=True):
    """Somebody who may sign in, or could. `own`: whose page it is."""

    username: str
    name: str
    role: str
    place: str
    since: int
    open: bool
    must_change: bool
    own: bool


class PeoplePage(View, frozen=True, kw_only=True):
    """`username` and `name` are what was typed where it could not be kept; `password` is shown this once."""

    rows: tuple[AccountRow, ...]
    roles: tuple[Choice, ...]
    boroughs: tuple[Choice, ...]
    units: tuple[Choice, ...]
    username: str = ""
    name: str = ""
    error: str | None = None
    made_for: str | None = None
    password: str | None = None


class RuleRow(View, frozen=True, kw_only=True):
    name: str
    grade: str
    says: str
    proposes: str | None


class ClockRow(View, frozen=True, kw_only=True):
    """A preset of clocks: how long each grade has, in words, and which boroughs use it."""

    label: str
    hours: tuple[str, ...]
    places: str


class PackRow(View, frozen=True, kw_only=True):
    """A pack that was put in force."""

    version: str
    by: str
    at: int


class ReplayRow(View, frozen=True, kw_only=True):
    """How many flags of a rule would be raised, dropped or regraded, of how many children."""

    rule: str
    would_be: str
    flags: int
    children: int


class RulesPage(View, frozen=True, kw_only=True):
    """The pack in force, and `text`, one to change. `tried_version` is missing where none was tried."""

    version: str
    rules: tuple[RuleRow, ...]
    grades: tuple[str, ...]
    clocks: tuple[ClockRow, ...]
    chains: tuple[tuple[str, str], ...]
    """For each grade, who hears while nobody answers."""
    terms: tuple[str, ...]
    history: tuple[PackRow, ...]
    text: str
    error: str | None
    tried_version: str | None
    tried_children: int
    tried: tuple[ReplayRow, ...]
    days_back: int
    looked_at_most: int
