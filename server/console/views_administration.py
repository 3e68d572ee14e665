"""The shapes of the administrator's pages: phones, and what was set aside."""

from server.console.views import View


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
    waiting: int | None
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
