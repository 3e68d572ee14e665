"""Clocks of their own that the flags of an alert have beside the grade's: police protection, what the school must know.

An alert may have several. It shows the one that ends first, and each is warned of once, answered or not: a second one
is not forgotten because the first has ended.
"""

from collections.abc import Sequence

import msgspec

from server.audit import impersonal
from server.storage.port import Transaction


class OwnClock(msgspec.Struct, frozen=True, kw_only=True):
    """The clock of one flag that holds: when it ends, what ends then, when a supervisor hears, and whether one has."""

    flag_id: int
    due_at: int
    due_words: str
    warns_at: int
    warned: bool = False


@impersonal("times of an alert's flags")
def of_alert(tx: Transaction, alert_id: int) -> list[OwnClock]:
    """The clocks of an alert's flags that hold, the first to end first."""
    rows = tx.rows(
        "SELECT f.flag_id, f.due_at, f.due_words, f.warns_at, f.warned_at FROM alert_flag l"
        " JOIN flag f ON f.flag_id = l.flag_id WHERE l.alert_id = :alert AND f.retracted_at IS NULL"
        " AND f.due_at IS NOT NULL AND f.warns_at IS NOT NULL ORDER BY f.due_at, f.flag_id",
        {"alert": alert_id},
    )
    return [
        OwnClock(flag_id=flag, due_at=due, due_words=said, warns_at=warns, warned=warned is not None)
        for flag, due, said, warns, warned in rows
    ]


@impersonal("reads times")
def wakes_at(clocks: Sequence[OwnClock], now: int) -> int | None:
    """When an alert that was answered is looked at again: for the next warning, or since the clock that it shows ends
    and another runs on. None where nothing is left to come."""
    warnings = [max(now, clock.warns_at) for clock in clocks if not clock.warned and clock.due_at > now]
    running = [clock.due_at for clock in clocks if clock.due_at > now]
    return min([*warnings, *running[:-1]], default=None)


@impersonal("reads times")
def ripe(clocks: Sequence[OwnClock], now: int) -> OwnClock | None:
    """The first of which a supervisor has still to hear, also where no server ran until it had ended."""
    return next((clock for clock in clocks if not clock.warned and clock.warns_at <= now), None)


@impersonal("that a supervisor heard; the step itself is logged where it is taken")
def warned(tx: Transaction, clock: OwnClock, *, now: int) -> None:
    """Somebody has heard of this one."""
    tx.execute("UPDATE flag SET warned_at = :now WHERE flag_id = :flag", {"now": now, "flag": clock.flag_id})


@impersonal("times of an alert")
def show(tx: Transaction, alert_id: int, clocks: Sequence[OwnClock], now: int, *, sleeps: bool) -> None:
    """Let the alert show the clock that ends next; where none runs it goes on showing the last. `sleeps`: it was
    answered, and is looked at again when `wakes_at` says."""
    shown = next((clock for clock in clocks if clock.due_at > now), clocks[-1] if clocks else None)
    if shown is not None:
        tx.execute(
            "UPDATE alert SET due_at = :due, due_words = :words, warns_at = :warns WHERE alert_id = :alert",
            {"due": shown.due_at, "words": shown.due_words, "warns": shown.warns_at, "alert": alert_id},
        )
    if sleeps:
        tx.execute(
            "UPDATE alert SET escalates_at = :wakes WHERE alert_id = :alert AND state = 'acknowledged'",
            {"wakes": wakes_at(clocks, now), "alert": alert_id},
        )
