"""The shapes of the pages over boroughs: what waits, what was lost, children coming to notice. See `views`."""

from server.console.views import Choice, Grade, QueueRow, View


class WaitingRow(View, frozen=True, kw_only=True):
    """What waits in one borough, with where it is looked into."""

    borough: str
    href: str
    unacknowledged: int
    red: int
    overdue: int
    stuck_reviews: int
    oldest_at: int | None


class Bar(View, frozen=True, kw_only=True):
    """One week of a small chart: `x` and `width` in per cent of its width, `top` and `height` in per cent of its."""

    label: str
    value: str
    x: float
    width: float
    top: float
    height: float


class SmallChart(View, frozen=True, kw_only=True):
    """One borough's weeks of one measure, on the scale of all boroughs. `said` is what it shows, in words."""

    name: str
    title: str
    said: str
    bars: tuple[Bar, ...]


class Measure(View, frozen=True, kw_only=True):
    """One measure in small multiples, and the same as a table: `rows` are (borough, a figure for each week, sum)."""

    key: str
    title: str
    explains: str
    weeks: tuple[str, ...]
    charts: tuple[SmallChart, ...]
    rows: tuple[tuple[str, tuple[str, ...], str], ...]


class OwingRow(View, frozen=True, kw_only=True):
    """A phone that owes notes."""

    phone: str
    officer: str
    borough: str
    sentence: str
    last_seen_at: int | None
    revoked: bool


class SetAsideRow(View, frozen=True, kw_only=True):
    """A phone of which something was set aside that nobody has decided about."""

    phone: str
    officer: str
    borough: str
    entries: int
    oldest_at: int


class NoiseRow(View, frozen=True, kw_only=True):
    """How often a person was interrupted: by grade, gravest first, in all, at night, and what waited for a
    digest."""

    name: str
    role: str
    borough: str
    at_once: tuple[int, ...]
    total: int
    at_night: int
    in_digests: int


class OverviewPage(View, frozen=True, kw_only=True):
    """A supervisor's page."""

    heading: str
    unacknowledged: int
    overdue: int
    stuck_reviews: int
    rows: tuple[QueueRow, ...]
    waiting: tuple[WaitingRow, ...]
    owing: tuple[OwingRow, ...]
    set_aside: tuple[SetAsideRow, ...]
    measures: tuple[Measure, ...]
    since: int
    noise: tuple[NoiseRow, ...] = ()
    noise_days: int = 0
    csv_href: str = "/api/overview.csv"
    noise_csv_href: str = "/api/interruptions.csv"


class NoticeRow(View, frozen=True, kw_only=True):
    """A child who comes to notice again and again, and for whom no referral was made."""

    child_id: int
    name: str
    age: str | None
    grade: Grade | None
    borough: str
    why: str
    last_at: int


class NoticePage(View, frozen=True, kw_only=True):
    """Children coming to notice, what is at stake first."""

    heading: str
    rows: tuple[NoticeRow, ...]
    boroughs: tuple[Choice, ...] = ()
    """Empty for somebody with one borough."""
