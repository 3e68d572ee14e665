"""Clocks: when a duty is due, how late it was on arrival, and who hears of it while nobody acknowledges.

A clock starts at the server's receipt, so `deadline_at` measures what people did. What was lost before, while
the note waited on a phone, is kept apart in `sync_delay_ms` and `late_by_ms`: a note whose clock was spent
before it arrived is shown as late at once, and is not escalated for a delay that nobody at a desk caused.
All times are milliseconds since the epoch, UTC; presets count plain hours.
"""

import math

import msgspec

from server.casework.facts import HOUR_MS, MINUTE_MS
from server.casework.pack import Pack, PackError
from server.casework.words import duration
from sync.vocabulary import Grade

SECTION_46_HOURS = 72
"""Police protection lasts 72 hours at most and cannot be extended (Children Act 1989, section 46(6))."""

SECTION_46_MS = SECTION_46_HOURS * HOUR_MS


class Clock(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The clock of one duty.

    `deadline_at` is None where the grade has no clock. `sync_delay_ms` is the time from observation to
    receipt, 0 where the phone's clock ran ahead. `late_by_ms` is how long before its receipt the note's
    clock, counted from the observation, was spent; 0 where it was not.
    """

    starts_at: int
    deadline_at: int | None
    sync_delay_ms: int
    late_by_ms: int

    def left_ms(self, now: int) -> int | None:
        """Time left, negative when overdue; None without a deadline."""
        return None if self.deadline_at is None else self.deadline_at - now

    def overdue_ms(self, now: int) -> int:
        """Time since the deadline: lost to inaction, never to late sync. 0 before it."""
        return 0 if self.deadline_at is None else max(0, now - self.deadline_at)


class Escalation(msgspec.Struct, frozen=True, gc=False):
    """One step of a chain: `level` from 1, the id of the role that hears, and when if still unacknowledged."""

    level: int
    role: str
    at: int


def deadline(grade: Grade, preset: str, received_at: int, observed_at: int, pack: Pack) -> Clock:
    """The clock of a duty of this grade, for a note received and observed at these times.

    `preset` is a name from the pack (`pack.preset_of(borough)`). Raises `PackError` for an unknown one.
    """
    found = pack.clocks.presets.get(preset)
    if found is None:
        known = ", ".join(sorted(pack.clocks.presets))
        raise PackError(f"There is no clock preset `{preset}` in the rule pack. Known: {known}.")
    delay_ms = max(0, received_at - observed_at)
    hours = found.hours(grade)
    if hours is None:
        return Clock(starts_at=received_at, deadline_at=None, sync_delay_ms=delay_ms, late_by_ms=0)
    length_ms = round(hours * HOUR_MS)
    return Clock(
        starts_at=received_at,
        deadline_at=received_at + length_ms,
        sync_delay_ms=delay_ms,
        late_by_ms=max(0, delay_ms - length_ms),
    )


def escalations(grade: Grade, started_at: int, deadline_at: int | None, pack: Pack) -> tuple[Escalation, ...]:
    """The chain of a duty that nobody acknowledges, in order of time; steps of a clock need a deadline."""
    steps: list[tuple[int, str]] = []
    for step in pack.escalations.chain(grade):
        if step.minutes is not None:
            steps.append((started_at + math.ceil(step.minutes * MINUTE_MS), step.role))
        elif step.percent is not None and deadline_at is not None:
            # Whole milliseconds, rounded up: never before the share of the clock has passed.
            length_ms = max(0, deadline_at - started_at)
            steps.append((started_at - -length_ms * step.percent // 100, step.role))
    steps.sort(key=lambda entry: entry[0])
    return tuple(Escalation(level, role, at) for level, (at, role) in enumerate(steps, start=1))


def steps_from(grade: Grade, preset: str, level: int, due_at: int, pack: Pack) -> tuple[Escalation, ...]:
    """The steps of a chain above `level`, of which the first is due at `due_at`.

    A duty that grew graver started its chain anew, so the steps after the next are counted from the next and
    not from when the duty began. Empty where the chain has no step above `level`. Raises as `deadline` does.
    """
    ladder = escalations(grade, 0, deadline(grade, preset, 0, 0, pack).deadline_at, pack)
    above = ladder[level:]
    shift = due_at - above[0].at if above else 0
    return tuple(Escalation(step.level, step.role, step.at + shift) for step in above)


def section_46_ends_at(began_at: int) -> int:
    """When police protection that began then must end, at the latest."""
    return began_at + SECTION_46_MS


def in_words(clock: Clock, now: int) -> str:
    """What a screen says of the clock: `37 min left`, `overdue by 2 h`, `late by 5 h on arrival`, `no clock`.

    Both kinds of lateness are said where both are there, in that order.
    """
    if clock.deadline_at is None:
        return "no clock"
    left_ms = clock.deadline_at - now
    text = f"{duration(left_ms)} left" if left_ms >= 0 else f"overdue by {duration(-left_ms)}"
    return f"late by {duration(clock.late_by_ms)} on arrival, {text}" if clock.late_by_ms else text
