"""Clocks: when a duty is due, how late it was on arrival, and who hears of it while nobody acknowledges.

A clock starts at the server's receipt, so `deadline_at` measures what people did. What was lost before, while
the note waited on a phone, is kept apart in `sync_delay_ms` and `late_by_ms`: a note whose clock was spent
before it arrived is shown as late at once, and is not escalated for a delay that nobody at a desk caused.
All times are milliseconds since the epoch, UTC. A preset counts plain hours, or working hours for the grades that
it says so of; minutes of an escalation are plain minutes, its per cent are of the clock as it is counted, and so are
the minutes after which the last of a chain hears again.
"""

import math
from collections.abc import Sequence

import msgspec

from server.casework.days import Running
from server.casework.facts import HOUR_MS, MINUTE_MS
from server.casework.pack import Pack, PackError
from server.casework.shapes import EscalationStep
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


class Escalation(msgspec.Struct, frozen=True, gc=False):
    """One step of a chain: `level` from 1, the id of the role that hears, and when if still unacknowledged."""

    level: int
    role: str
    at: int


def _running(grade: Grade, preset: str, pack: Pack) -> Running:
    runs = pack.runs.get((preset, grade._value_))
    if runs is None:
        known = ", ".join(sorted(pack.clocks.presets))
        raise PackError(f"There is no clock preset `{preset}` in the rule pack. Known: {known}.")
    return runs


def deadline(grade: Grade, preset: str, received_at: int, observed_at: int, pack: Pack) -> Clock:
    """The clock of a duty of this grade, for a note received and observed at these times.

    `preset` is a name from the pack (`pack.preset_of(borough)`). Raises `PackError` for an unknown one.
    """
    runs = _running(grade, preset, pack)
    delay_ms = max(0, received_at - observed_at)
    if runs.length_ms is None:
        return Clock(starts_at=received_at, deadline_at=None, sync_delay_ms=delay_ms, late_by_ms=0)
    spent_at = runs.after(min(observed_at, received_at), runs.length_ms)
    return Clock(
        starts_at=received_at,
        deadline_at=runs.after(received_at, runs.length_ms),
        sync_delay_ms=delay_ms,
        late_by_ms=max(0, received_at - spent_at),
    )


def escalations(
    grade: Grade, preset: str, started_at: int, deadline_at: int | None, pack: Pack
) -> tuple[Escalation, ...]:
    """The chain of a duty that nobody acknowledges, in order of time; shares of a clock need a deadline.

    `deadline_at` may be sooner than the grade's own, where something else ends then: no step within the clock
    is later than it. Raises as `deadline` does.
    """
    laid_out = _ladder(pack.escalations.chain(grade), _running(grade, preset, pack), started_at, deadline_at)
    return tuple(Escalation(level, step.role, at) for level, (at, step) in enumerate(laid_out, start=1))


def steps_from(
    grade: Grade, preset: str, level: int, due_at: int, deadline_at: int | None, pack: Pack
) -> tuple[Escalation, ...]:
    """The steps of a chain above `level`, of which the first is due at `due_at`.

    A duty that grew graver started its chain anew, so the steps after the next are counted from the next and
    not from when the duty began. Empty where the chain has no step above `level`. Raises as `deadline` does.
    """
    runs, chain = _running(grade, preset, pack), pack.escalations.chain(grade)
    above = _ladder(chain, runs, due_at, deadline_at)[level:]
    if not above:
        return ()
    step = above[0][1]
    if step.minutes is not None:
        began_at = due_at - math.ceil(step.minutes * MINUTE_MS)
    else:
        began_at = runs.before(due_at, runs.share_ms(step.percent or 0))
    ends_at = max(due_at, deadline_at) if deadline_at is not None else None
    left = _ladder(chain, runs, began_at, ends_at)[level:]
    return tuple(
        Escalation(level + number, step.role, due_at if number == 1 else max(at, due_at))
        for number, (at, step) in enumerate(left, start=1)
    )


def first_hearing_at(grade: Grade, preset: str, started_at: int, deadline_at: int | None, pack: Pack) -> int:
    """When somebody more hears of a duty that began then and that nobody acknowledges: the first of the chain, or
    where it says nothing, those who know of it already. Raises as `deadline` does."""
    steps = escalations(grade, preset, started_at, deadline_at, pack)
    return steps[0].at if steps else again_at(grade, preset, started_at, started_at, pack)


def again_at(grade: Grade, preset: str, due_at: int, now: int, pack: Pack) -> int:
    """When whoever heard last, and was due to at `due_at`, hears again: always after `now`.

    Times that were missed while no server ran are made up for by one: the next is then counted from now. Raises as
    `deadline` does.
    """
    runs = _running(grade, preset, pack)
    length_ms = math.ceil(pack.escalations.again.minutes(grade) * MINUTE_MS)
    at = runs.after(due_at, length_ms)
    return at if at > now else runs.after(now, length_ms)


def last_role(grade: Grade, preset: str, started_at: int, deadline_at: int | None, pack: Pack) -> str | None:
    """The role at the end of a chain; None where it is empty."""
    steps = escalations(grade, preset, started_at, deadline_at, pack)
    chain = pack.escalations.chain(grade)
    return steps[-1].role if steps else chain[-1].role if chain else None


def _ladder(
    chain: Sequence[EscalationStep], runs: Running, started_at: int, deadline_at: int | None
) -> list[tuple[int, EscalationStep]]:
    """The steps with their times, soonest first."""
    steps: list[tuple[int, EscalationStep]] = []
    for step in chain:
        if step.minutes is not None:
            steps.append((started_at + math.ceil(step.minutes * MINUTE_MS), step))
        elif step.percent is not None and deadline_at is not None:
            at = runs.after(started_at, runs.share_ms(step.percent))
            steps.append((min(at, deadline_at) if step.percent <= 100 else at, step))
    return sorted(steps, key=lambda entry: entry[0])


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
