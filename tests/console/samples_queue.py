"""The queue and the forms around one alert, made up. See `samples`."""

from server.console.views import (
    Choice,
    ClosePage,
    HandOverPage,
    QueueFilters,
    QueuePage,
    QueueRow,
)
from server.console.words import HOUR_MS, MINUTE_MS
from tests.console.samples import NOW, ago


def rows() -> tuple[QueueRow, ...]:
    """A queue as an investigator meets it in the afternoon."""
    return (
        QueueRow(
            alert_id=41,
            grade="red",
            raised_at=ago(hours=4, minutes=10),
            deadline_at=ago(hours=2, minutes=10),
            why="Third missing episode in 90 days; two officers, two wards",
            child_id=7,
            child_name="Amira",
            child_age="14",
            state_words="Not acknowledged",
            waits_for="the BCU duty inspector",
            waits_until=NOW + 600_000,
            escalated=True,
            can_acknowledge=True,
            can_hand_over=True,
        ),
        QueueRow(
            alert_id=44,
            grade="red",
            raised_at=ago(minutes=83),
            deadline_at=NOW + 37 * MINUTE_MS,
            why="Danger now: boy met an adult in a car behind the leisure centre",
            child_id=19,
            child_name="Name not known",
            child_age="about 13",
            owner="DC Ruth Adeyemi",
            owner_is_me=True,
            can_acknowledge=True,
            can_hand_over=True,
        ),
        QueueRow(
            alert_id=39,
            grade="amber",
            raised_at=ago(hours=5),
            deadline_at=NOW + 60 * MINUTE_MS,
            late_on_arrival_ms=9 * HOUR_MS,
            why="Missing with signs of exploitation: new phone, unexplained money",
            child_id=23,
            child_name="Tyrell",
            child_age="15",
            place="Coldharbour ward",
            can_acknowledge=True,
        ),
        QueueRow(
            alert_id=37,
            grade="amber",
            raised_at=ago(hours=3),
            deadline_at=NOW + 3 * HOUR_MS,
            why="Three notes in 90 days, all about neglect, from two schools",
            child_id=31,
            child_name="Oluwaseun",
            child_age="8",
            owner="DC Marcus Hale",
            state="acknowledged",
            state_words="Acknowledged",
            acknowledged_at=ago(minutes=50),
            can_hand_over=True,
        ),
        QueueRow(
            alert_id=36,
            grade="green",
            raised_at=ago(hours=8),
            deadline_at=NOW + 16 * HOUR_MS,
            why="Two sources in 30 days about domestic abuse in the household",
            child_id=32,
            child_name="Zofia",
            child_age="5",
            state="transfer",
            state_words="Offered to Southwark, waiting for an answer",
            owner="DC Ruth Adeyemi",
            owner_is_me=True,
        ),
        QueueRow(
            alert_id=30,
            grade="blue",
            raised_at=ago(days=1, hours=2),
            deadline_at=None,
            why="Absence from school recorded; no other sign",
            child_id=35,
            child_name="Kai",
            child_age="11",
            owner="DC Marcus Hale",
            state="acknowledged",
            state_words="Acknowledged",
            acknowledged_at=ago(days=1),
            is_copy=True,
        ),
    )


def filters(narrowed: str | None = None) -> QueueFilters:
    """Filters as they stand when nothing, or something, is filtered away."""
    return QueueFilters(
        view="open",
        views=(
            Choice(value="open", label="Open", selected=True, href="/alerts", count=7),
            Choice(value="mine", label="Mine", href="/alerts?view=mine", count=2),
            Choice(value="nobody", label="Nobody's", href="/alerts?view=nobody", count=2),
            Choice(value="acknowledged", label="Acknowledged", href="/alerts?view=acknowledged", count=2),
            Choice(value="closed", label="Closed", href="/alerts?view=closed"),
        ),
        grades=(
            Choice(value="red", label="Red", selected=narrowed is not None),
            Choice(value="amber", label="Amber"),
            Choice(value="green", label="Green"),
            Choice(value="blue", label="Blue"),
        ),
        owners=(
            Choice(value="", label="Anyone", selected=True),
            Choice(value="me", label="Me"),
            Choice(value="nobody", label="Nobody"),
        ),
        narrowed=narrowed,
    )


def queue(*, empty: bool = False, narrowed: str | None = None) -> QueuePage:
    """The queue, full or empty."""
    return QueuePage(
        heading="Alerts in Lambeth",
        rows=() if empty else rows(),
        filters=filters(narrowed),
        grade_counts=() if empty else (("red", 2), ("amber", 2), ("green", 1), ("blue", 1)),
        late=0 if empty else 1,
        last_note_at=ago(minutes=12),
        last_event_id="118",
    )


def hand_over(error: str | None = None) -> HandOverPage:
    """The form that gives an alert away."""
    return HandOverPage(
        row=rows()[1],
        recipients=(
            Choice(value="p:3", label="DC Marcus Hale"),
            Choice(value="b:E09000028", label="Southwark"),
        ),
        error=error,
    )


def close(error: str | None = None) -> ClosePage:
    """The form that ends an alert."""
    return ClosePage(row=rows()[3], least=10, error=error)
