"""The hard rules, above any score: when no child may be linked without a person, and when nothing is left to ask.

Each takes the levels that a note and a child reach, in the order of `levels.COMPARISONS`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from server.linkage import levels as lv

_SURE_NAME = frozenset((lv.G_EXACT, lv.G_VARIANT, lv.G_SHORT, lv.G_ALIAS, lv.G_SWAPPED))
_NEAR_NAME = _SURE_NAME | {lv.G_TYPO}
_SAME_FAMILY = frozenset((lv.F_EXACT, lv.F_VARIANT, lv.F_SWAPPED))
_FAMILY_AGREES = _SAME_FAMILY | {lv.F_TYPO, lv.F_HALF}
_SURE_BORN = frozenset((lv.B_EXACT, lv.B_SWAPPED, lv.B_DIGIT, lv.B_YEAR))
_NEAR_BORN = frozenset((lv.B_SWAPPED, lv.B_DIGIT, lv.B_YEAR))
_OTHER_BORN = frozenset((lv.B_SAME_YEAR, lv.B_DIFFER, lv.B_AGE_FAR))
_LOOSE_BORN = frozenset((lv.B_MONTH, lv.B_YEAR_ONLY, lv.B_JANUARY))
_DIFFERS = [
    frozenset(number for number, level in enumerate(comparison.levels) if level.outcome == lv.DIFFER)
    for comparison in lv.COMPARISONS
]
_SAME_HOME = frozenset((lv.A_HOME, lv.A_NEAR))
_ELSEWHERE = frozenset((lv.A_DIFFER, lv.A_AREA, lv.A_STREET))
_SURE_ADDRESS = frozenset((lv.A_HOME, lv.A_NEAR, lv.A_NUMBER_STREET, lv.A_POSTCODE))


def forbidden(levels: list[int], *, restricted: bool, households: bool) -> str:
    """Why no score may link this pair without a person; "" if nothing forbids it."""
    own_id = levels[lv.UPN] == lv.I_SAME or levels[lv.NHS_NUMBER] == lv.I_SAME
    if restricted:
        return "this record is restricted: a person with access decides"
    if levels[lv.UPN] == lv.I_DIFFER or levels[lv.NHS_NUMBER] == lv.I_DIFFER:
        return "an official number differs"
    given = levels[lv.GIVEN]
    if given == lv.G_DIFFER:
        return "the given name differs: it could be a brother or a sister"
    if households and (rule := not_a_sibling(given, own_id=own_id)):
        return rule
    if own_id:
        return ""
    at_home = levels[lv.ADDRESS] in _SURE_ADDRESS or levels[lv.PHONE] == lv.P_SAME
    born = levels[lv.BORN]
    if (born in _OTHER_BORN and (households or not at_home)) or (born in _LOOSE_BORN and not at_home):
        return "the date of birth is another one"
    guardian = levels[lv.GUARDIAN] in (lv.U_SAME, lv.U_GIVEN)
    around = guardian or levels[lv.SCHOOL] == lv.I_SAME
    # Namesakes born on days that look alike are found among millions, however rare the name.
    if born in _NEAR_BORN and not (at_home or around):
        return "only the name agrees, and the date of birth nearly"
    if not (born in _SURE_BORN or at_home or (around and born == lv.B_AGE)):
        return "only the name and an age or less agree"
    # A namesake with another family name at the same school is somebody else.
    anchored = born in _SURE_BORN and (at_home or guardian)
    if households and not anchored and levels[lv.FAMILY] not in _FAMILY_AGREES:
        return "neither the family name nor the home agrees"
    return ""


def not_a_sibling(given: int, *, own_id: bool) -> str:
    """Why it could be a brother or sister; "" if the given name or the child's own number rules it out."""
    if given == lv.MISSING_LEVEL:
        return "" if own_id else "without a given name it could be a brother or a sister"
    if given not in _NEAR_NAME and not own_id:
        return "the given name is only similar: it could be a brother or a sister"
    return ""


def agrees_in_all(levels: list[int], *, homed: bool) -> bool:
    """Whether nothing that was compared differs, and both names agree with the day or the home, or nearly with both;
    where day and home both agree, the family name may be another. `homed`: the note tells a house, so that an address
    which is missing here may stand at another child."""
    if levels[lv.ADDRESS] in _ELSEWHERE or (homed and levels[lv.ADDRESS] == lv.MISSING_LEVEL):
        return False
    day, home = levels[lv.BORN] == lv.B_EXACT, levels[lv.ADDRESS] in _SAME_HOME
    given, family = levels[lv.GIVEN], levels[lv.FAMILY]
    differing = _differing(levels)
    if day and home:
        return (
            not differing
            if given in _NEAR_NAME and family in _FAMILY_AGREES
            else (given in _SURE_NAME and differing <= {lv.FAMILY})
        )
    return (day or home) and given in _SURE_NAME and family in _SAME_FAMILY and not differing


def has_moved(levels: list[int]) -> bool:
    """Whether both names and the day agree, the home is another, and nothing else that was compared differs."""
    both = levels[lv.GIVEN] in _SURE_NAME and levels[lv.FAMILY] in _SAME_FAMILY
    moved = levels[lv.ADDRESS] in _ELSEWHERE and _differing(levels) <= {lv.ADDRESS}
    return both and moved and levels[lv.BORN] == lv.B_EXACT


def _differing(levels: list[int]) -> set[int]:
    return {at for at, level in enumerate(levels) if level in _DIFFERS[at]}


def lives_with_others(best: list[int], others: Iterable[list[int]]) -> str:
    """Why a child who is not known at the home that the note tells may be a namesake, where another known child
    is: an unregistered brother or sister of that one, most likely. "" if the home tells nothing of the kind."""
    if best[lv.ADDRESS] not in _ELSEWHERE or best[lv.PHONE] == lv.P_SAME:
        return ""
    for levels in others:
        at_home = levels[lv.ADDRESS] in _SAME_HOME or levels[lv.PHONE] == lv.P_SAME
        if at_home and levels[lv.FAMILY] in _FAMILY_AGREES:
            return "another family with this name lives where this child is said to live"
    return ""
