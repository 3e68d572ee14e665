"""The shapes of scrutiny: samples, reviews of closed work, and who did what in the log. See `views`."""

from server.console.views import Choice, QueueRow, View
from server.records.sampling import Sample


class ScrutinyPage(View, frozen=True, kw_only=True):
    """The samples so far, and the form that announces one."""

    samples: tuple[Sample, ...]
    source: str = ""
    most: str = "2"
    closed_from: str = ""
    closed_to: str = ""
    error: str | None = None


class ItemRow(View, frozen=True, kw_only=True):
    """One alert of a sample."""

    alert_id: int
    borough: str
    grade: str
    outcome: str | None
    reviewed_by: str | None


class SamplePage(View, frozen=True, kw_only=True):
    """A sample: how it can be drawn again, and what is in it."""

    sample: Sample
    items: tuple[ItemRow, ...]
    reviewed: int
    may_draw: bool
    value: str = ""
    error: str | None = None


class AlikeRow(View, frozen=True, kw_only=True):
    """Another case and what it shares, in words."""

    child_id: int
    borough: str
    shared: tuple[str, ...]


class DipPage(View, frozen=True, kw_only=True):
    """One alert of a sample, to be reviewed."""

    sample_id: int
    row: QueueRow
    outcomes: tuple[Choice, ...]
    words: str
    alike: tuple[AlikeRow, ...]
    error: str | None = None


class LogRow(View, frozen=True, kw_only=True):
    """One entry of the audit log."""

    position: int
    at: int
    who: str
    verb: str
    what: str
    reason: str | None
    recipients: tuple[str, ...]


class AuditPage(View, frozen=True, kw_only=True):
    """Who looked at a child, or what a person did. `rows` None: nothing was asked yet."""

    kind: str
    id: str
    rows: tuple[LogRow, ...] | None = None
    older_href: str | None = None
    error: str | None = None
