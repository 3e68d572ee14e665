"""The system proposes and never lowers; a person says why; a supervisor lowers."""

from itertools import product

import pytest

from server.casework.grades import URGENCY, GradeRefused, decided, highest, proposed
from sync.vocabulary import Grade

WHY = "Spoke to the school and the parent today."


def test_the_highest_grade_is_the_most_urgent() -> None:
    assert highest([Grade.GREEN, Grade.RED, Grade.AMBER]) is Grade.RED
    assert highest([]) is None
    assert URGENCY == {"blue": 0, "green": 1, "amber": 2, "red": 3}


@pytest.mark.parametrize(("current", "wanted"), list(product([None, *Grade], repeat=2)))
def test_a_proposal_never_lowers(current: Grade | None, wanted: Grade | None) -> None:
    after = proposed(current, wanted)
    assert after in (current, wanted)
    for grade in (current, wanted):
        if grade is not None:
            assert after is not None
            assert after.urgency >= grade.urgency


@pytest.mark.parametrize("rationale", ["", "   ", "ok", "         x  "])
def test_a_grade_needs_a_rationale(rationale: str) -> None:
    with pytest.raises(GradeRefused) as refused:
        decided(None, Grade.RED, rationale=rationale, supervisor=True)
    assert refused.value.code == "rationale_missing"


@pytest.mark.parametrize(("current", "wanted"), list(product(Grade, repeat=2)))
def test_only_a_supervisor_lowers(current: Grade, wanted: Grade) -> None:
    assert decided(current, wanted, rationale=WHY, supervisor=True) is wanted
    if wanted.urgency >= current.urgency:
        assert decided(current, wanted, rationale=WHY, supervisor=False) is wanted
        return
    with pytest.raises(GradeRefused, match="Only a supervisor") as refused:
        decided(current, wanted, rationale=WHY, supervisor=False)
    assert refused.value.code == "supervisor_needed"
