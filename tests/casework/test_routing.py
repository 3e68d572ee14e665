"""Which borough owns it, as a table."""

import pytest

from server.casework.facts import ChildFacts
from server.casework.pack import default_pack
from server.casework.routing import OTHER_FORCE, Ownership, route

LAMBETH, SOUTHWARK, MERTON = "E09000022", "E09000028", "E09000024"
LEWISHAM, CROYDON = "E09000023", "E09000008"
SURREY, KENT = "E10000030", "E10000016"


def routed(
    found: str | None = None, danger: bool = False, author: str | None = CROYDON, **child: object
) -> Ownership:
    facts = ChildFacts(child_id=1, **child)  # type: ignore[arg-type]  # the table gives each its own type
    return route(facts, found, danger, author, default_pack())


EVERYWHERE = {
    "home_borough": LAMBETH,
    "school_borough": MERTON,
    "responsible_authority": LEWISHAM,
}


@pytest.mark.parametrize(
    ("case", "owner", "copies", "reason"),
    [
        # Danger now goes where the child was found, whatever else is known.
        (
            {"found": SOUTHWARK, "danger": True, "looked_after": True, **EVERYWHERE},
            SOUTHWARK,
            (LEWISHAM, LAMBETH, MERTON),
            "In danger now, where the child was found: Southwark",
        ),
        ({"danger": True, "home_borough": LAMBETH}, LAMBETH, (), "Home: Lambeth"),
        # Looked after: the responsible authority.
        (
            {"found": SOUTHWARK, "looked_after": True, **EVERYWHERE},
            LEWISHAM,
            (LAMBETH, SOUTHWARK, MERTON),
            "Responsible authority (looked after): Lewisham",
        ),
        ({"looked_after": True, "home_borough": LAMBETH}, LAMBETH, (), "Home: Lambeth"),
        # Not looked after and no open case: the responsible authority gets a copy.
        ({"found": SOUTHWARK, **EVERYWHERE}, LAMBETH, (LEWISHAM, SOUTHWARK, MERTON), "Home: Lambeth"),
        # An open case.
        ({"open_case_borough": MERTON, "home_borough": LAMBETH}, MERTON, (LAMBETH,), "Open case: Merton"),
        (
            {"open_case_borough": MERTON, **EVERYWHERE},
            LEWISHAM,
            (MERTON, LAMBETH),
            "Responsible authority (open case): Lewisham",
        ),
        # Home, found, school, author.
        ({"found": SOUTHWARK, "home_borough": LAMBETH}, LAMBETH, (SOUTHWARK,), "Home: Lambeth"),
        ({"found": LAMBETH, "home_borough": LAMBETH}, LAMBETH, (), "Home: Lambeth"),
        (
            {"found": SOUTHWARK, "school_borough": MERTON},
            SOUTHWARK,
            (MERTON,),
            "Where the child was found: Southwark",
        ),
        ({"school_borough": MERTON}, MERTON, (), "School, as nothing nearer is known: Merton"),
        ({}, CROYDON, (), "The author's borough, as nothing else is known: Croydon"),
        # Other forces.
        (
            {"found": KENT, "danger": True, "home_borough": LAMBETH},
            OTHER_FORCE,
            (LAMBETH,),
            f"In danger now, where the child was found: {KENT}, outside the force, so the other-force queue",
        ),
        (
            {"home_borough": SURREY},
            OTHER_FORCE,
            (CROYDON,),
            f"Home: {SURREY}, outside the force, so the other-force queue",
        ),
        ({"home_borough": LAMBETH, "school_borough": SURREY}, LAMBETH, (OTHER_FORCE,), "Home: Lambeth"),
        (
            {"home_borough": SURREY, "found": KENT, "school_borough": MERTON},
            OTHER_FORCE,
            (MERTON,),
            f"Home: {SURREY}, outside the force, so the other-force queue",
        ),
        ({"author": None}, OTHER_FORCE, (), "No borough is known: the other-force queue decides."),
        (
            {"author": KENT},
            OTHER_FORCE,
            (),
            f"The author's borough, as nothing else is known: {KENT}, outside the force, "
            "so the other-force queue",
        ),
    ],
)
def test_who_owns_it(case: dict[str, object], owner: str, copies: tuple[str, ...], reason: str) -> None:
    answer = routed(**case)  # type: ignore[arg-type]  # as above
    assert (answer.owner, answer.copies, answer.reason) == (owner, copies, reason)


def test_another_forces_borough_is_kept_as_the_destination() -> None:
    assert routed(home_borough=SURREY).destination == SURREY
    assert routed(home_borough=LAMBETH).destination is None
    assert routed(author=None).destination is None


def test_an_open_case_goes_to_its_lead_and_danger_goes_to_the_borough() -> None:
    case = {"open_case_borough": MERTON, "open_case_lead": "person-7", "home_borough": LAMBETH}
    assert routed(**case).lead == "person-7"  # type: ignore[arg-type]  # as above
    assert routed(open_case_lead="person-7", home_borough=LAMBETH).lead == "person-7"
    in_danger = routed(found=SOUTHWARK, danger=True, **case)
    assert (in_danger.owner, in_danger.lead) == (SOUTHWARK, None)
    assert MERTON in in_danger.copies


def test_the_owner_is_never_among_the_copies_and_no_copy_comes_twice() -> None:
    boroughs = [None, LAMBETH, SOUTHWARK, SURREY]
    for home in boroughs:
        for school in boroughs:
            for found in boroughs:
                for looked_after in (False, True):
                    answer = routed(
                        found=found,
                        home_borough=home,
                        school_borough=school,
                        responsible_authority=LEWISHAM,
                        looked_after=looked_after,
                    )
                    assert answer.owner not in answer.copies
                    assert len(set(answer.copies)) == len(answer.copies)
                    assert default_pack().force.polices(answer.owner) or answer.owner == OTHER_FORCE
