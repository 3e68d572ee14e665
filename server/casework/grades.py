"""Grades: the system proposes and never lowers; a person decides, says why, and a supervisor lowers."""

from collections.abc import Iterable

from sync.vocabulary import Grade

RATIONALE_CHARACTERS_MIN = 10
"""Enough that a full stop or "ok" is no rationale; how good it is, scrutiny judges."""

URGENCY: dict[str, int] = {grade.value: grade.urgency for grade in Grade}
"""Urgency by code: what `Grade.urgency` answers, for loops that ask it many times a note."""


class GradeRefused(ValueError):
    """A grade that may not be set like this. The message says what is missing; `code` is for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def highest(grades: Iterable[Grade]) -> Grade | None:
    """The most urgent of some grades; None when there is none."""
    best: Grade | None = None
    for grade in grades:
        if best is None or grade.urgency > best.urgency:
            best = grade
    return best


def graver_of(one: Grade, two: Grade) -> Grade:
    """The more urgent of two grades."""
    return one if one.urgency >= two.urgency else two


def proposed(current: Grade | None, wanted: Grade | None) -> Grade | None:
    """The grade after the rules propose `wanted`: never lower than `current`."""
    return highest(grade for grade in (current, wanted) if grade is not None)


def decided(current: Grade | None, wanted: Grade, *, rationale: str, supervisor: bool) -> Grade:
    """The grade after a person sets `wanted`.

    Raises `GradeRefused` with the code `rationale_missing`, or `supervisor_needed` where the grade would be
    lowered by somebody who is not a supervisor.
    """
    if len(rationale.strip()) < RATIONALE_CHARACTERS_MIN:
        raise GradeRefused(
            "rationale_missing",
            f"A grade needs a rationale of at least {RATIONALE_CHARACTERS_MIN} characters: say why.",
        )
    if current is not None and wanted.urgency < current.urgency and not supervisor:
        raise GradeRefused(
            "supervisor_needed",
            f"Only a supervisor lowers a grade, here from {current.value} to {wanted.value}. Ask one.",
        )
    return wanted
