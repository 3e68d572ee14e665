"""The shapes of the pages on how people are told. See `views` for the rules."""

from server.console.views import View


class Option(View, frozen=True, kw_only=True):
    """One of a list to choose from."""

    value: str
    label: str
    chosen: bool = False


class GradeChoice(View, frozen=True, kw_only=True):
    """How alerts of one grade are told, and what is permitted."""

    grade: str
    options: tuple[Option, ...]


class TellingPage(View, frozen=True, kw_only=True):
    """How I am told. `browsers` is how many show notifications; `error` is about `wrong_field`."""

    address: str = ""
    mail_open: bool
    mail_permitted: bool
    push_permitted: bool
    vapid_public: str
    browsers: int
    grades: tuple[GradeChoice, ...]
    digest_at: str
    quiet_from: str = ""
    quiet_until: str = ""
    away_until: str = ""
    deputies: tuple[Option, ...] = ()
    wrong_field: str | None = None
    error: str | None = None


class ChannelRow(View, frozen=True, kw_only=True):
    """How one channel fares, in words."""

    name: str
    is_well: bool
    state: str
    waiting: int
    dead: int
    arrived_at: int | None
    channel: str


class UndeliveredRow(View, frozen=True, kw_only=True):
    """A message that was given up, and what to do about it."""

    delivery_id: int
    alert_id: int
    grade: str
    what: str
    where: str
    whom: str
    at: int
    attempts: int
    why: str
    advice: str


class UndeliveredPage(View, frozen=True, kw_only=True):
    """What did not arrive. `more`: there are more than are shown."""

    channels: tuple[ChannelRow, ...]
    rows: tuple[UndeliveredRow, ...]
    more: bool = False
