"""The comparisons and their levels, with default weights set by hand.

Each level has three probabilities: `m` among pairs that are the same child, `household` among two children of
one home (brothers, sisters, twins), `u` among strangers. Only their ratios matter. They come from what is
known of British registers and of how names are misheard and mistyped; training replaces them.

What the less obvious ones rest on. Brothers and sisters hardly ever have one name, or two spellings of one, so
given names that agree speak against the household; a sixteenth of the notes about an unregistered brother or
sister are taken to be about a twin, twice as many as there are (3 %), since a note that has the right day and
another name often is. `u` of the same home is the chance of two households behind one door without flat
numbers. `u` of a date is 1 in 16 years of days, and the registry's own figure where it is known (counts.py); of
the some 6,000 days of 17 years, one in 270 is a digit or an exchange of two away from a given one.
"""

from __future__ import annotations

from typing import NamedTuple

AGREE, NEAR, DIFFER, MISSING = "agree", "near", "differ", "missing"


class LevelDefault(NamedTuple):
    """A comparison level: its name in code, its words on screen, its outcome, its probabilities."""

    name: str
    label: str
    outcome: str
    m: float
    household: float
    u: float
    term_frequency: bool = False


class ComparisonDefault(NamedTuple):
    """A comparison: its name, its words on screen, its levels; level 0 is always "missing"."""

    name: str
    label: str
    levels: tuple[LevelDefault, ...]


def _levels(*levels: LevelDefault) -> tuple[LevelDefault, ...]:
    return (LevelDefault("missing", "not known on one side", MISSING, 1.0, 1.0, 1.0), *levels)


_L = LevelDefault

# Positions of the levels within their comparison.
MISSING_LEVEL = 0
(
    G_EXACT,
    G_VARIANT,
    G_SHORT,
    G_ALIAS,
    G_SWAPPED,
    G_TYPO,
    G_SHORT_OWN,
    G_OTHER,
    G_CLOSE,
    G_PART,
    G_INITIAL,
    G_DIFFER,
    G_CROSSED,
) = range(1, 14)
(F_EXACT, F_VARIANT, F_SWAPPED, F_TYPO, F_HALF, F_CLOSE, F_DIFFER) = range(1, 8)
(
    B_EXACT,
    B_JANUARY,
    B_SWAPPED,
    B_DIGIT,
    B_YEAR,
    B_MONTH,
    B_SAME_YEAR,
    B_AGE,
    B_AGE_1,
    B_AGE_2,
    B_AGE_FAR,
    B_DIFFER,
    B_YEAR_ONLY,
) = range(1, 14)
S_SAME, S_DIFFER = 1, 2
A_HOME, A_NEAR, A_NUMBER_STREET, A_POSTCODE, A_STREET, A_AREA, A_DIFFER = range(1, 8)
P_SAME, P_NEAR, P_DIFFER = 1, 2, 3
I_SAME, I_NEAR, I_DIFFER = 1, 2, 3
U_SAME, U_GIVEN, U_NEAR, U_DIFFER = range(1, 5)

GIVEN, FAMILY, BORN, SEX, ADDRESS, PHONE, GUARDIAN, SCHOOL, UPN, NHS_NUMBER = range(10)

COMPARISONS: tuple[ComparisonDefault, ...] = (
    ComparisonDefault(
        "given_names",
        "Given names",
        _levels(
            _L("exact", "the same", AGREE, 0.72, 0.0003, 0.006, True),
            _L("variant", "another spelling of the same name", AGREE, 0.06, 0.0004, 0.002, True),
            _L("short_form", "a short form of the same name", AGREE, 0.03, 0.0006, 0.003, True),
            _L("alias", "the same as an alias", AGREE, 0.01, 0.0001, 0.0008, True),
            _L("swapped", "given and family name changed places", AGREE, 0.01, 0.0002, 0.0002, True),
            _L("typo", "one letter or two away, as in a slip", NEAR, 0.045, 0.0004, 0.0008),
            _L("short_form_own", "a short form, but also a name of its own", NEAR, 0.02, 0.006, 0.003, True),
            _L("other_given", "another of the given names is the same", NEAR, 0.02, 0.02, 0.008, True),
            _L("close", "similar, but could be another name", NEAR, 0.02, 0.02, 0.012),
            _L("part", "only the first of several names is the same", NEAR, 0.015, 0.06, 0.012, True),
            _L("initial", "the initial fits", NEAR, 0.015, 0.08, 0.07),
            _L("differ", "different", DIFFER, 0.014, 0.82, 0.90),
            _L("crossed", "stands where the family name should", NEAR, 0.004, 0.0008, 0.0006),
        ),
    ),
    ComparisonDefault(
        "family_name",
        "Family name",
        _levels(
            _L("exact", "the same", AGREE, 0.84, 0.80, 0.003, True),
            _L("variant", "another spelling of the same name", AGREE, 0.03, 0.01, 0.001, True),
            _L("swapped", "given and family name changed places", AGREE, 0.01, 0.0002, 0.0002, True),
            _L("typo", "one letter or two away, as in a slip", NEAR, 0.035, 0.01, 0.0008),
            _L("half", "half of a double name is the same", NEAR, 0.025, 0.05, 0.003, True),
            _L("close", "similar", NEAR, 0.012, 0.008, 0.008),
            _L("differ", "different", DIFFER, 0.05, 0.12, 0.985),
        ),
    ),
    ComparisonDefault(
        "date_of_birth",
        "Date of birth",
        _levels(
            _L("exact", "the same day", AGREE, 0.90, 0.06, 0.00017),
            _L(
                "first_of_january",
                "the same, but 1 January, which often stands for an unknown day",
                AGREE,
                0.03,
                0.0015,
                0.0015,
            ),
            _L("day_month_swapped", "day and month changed places", NEAR, 0.008, 0.0001, 0.0001),
            _L("one_digit", "one digit differs or two changed places", NEAR, 0.025, 0.004, 0.0036),
            _L("year_near", "same day and month, year one off", NEAR, 0.006, 0.0005, 0.0003),
            _L("same_month", "same month and year", NEAR, 0.008, 0.004, 0.0045),
            _L("same_year", "same year", NEAR, 0.012, 0.05, 0.05),
            _L("age_fits", "the age fits", NEAR, 0.60, 0.09, 0.065),
            _L("age_1", "the age is up to a year out", NEAR, 0.27, 0.17, 0.12),
            _L("age_2", "the age is up to two years out", NEAR, 0.09, 0.16, 0.11),
            _L("age_far", "the age does not fit", DIFFER, 0.04, 0.58, 0.70),
            _L("differ", "different", DIFFER, 0.025, 0.92, 0.94),
            # A date of 1 January on one side is nearly always a year with no day.
            _L(
                "year_only",
                "same year; 1 January often stands for an unknown day",
                NEAR,
                0.012,
                0.0006,
                0.0009,
            ),
        ),
    ),
    ComparisonDefault(
        "sex",
        "Sex",
        _levels(
            _L("same", "the same", AGREE, 0.985, 0.5, 0.5),
            _L("differ", "different", DIFFER, 0.015, 0.5, 0.5),
        ),
    ),
    ComparisonDefault(
        "address",
        "Address",
        _levels(
            _L("home", "the same home", AGREE, 0.54, 0.81, 0.000005),
            _L("near", "nearly the same address", AGREE, 0.08, 0.05, 0.00002),
            _L("number_street", "the same number and street name", NEAR, 0.03, 0.02, 0.0001),
            _L("postcode", "the same postcode", NEAR, 0.07, 0.05, 0.0003),
            _L("street", "the same street name", NEAR, 0.02, 0.01, 0.0015),
            _L("area", "the same postal district", NEAR, 0.06, 0.01, 0.012),
            _L("differ", "different", DIFFER, 0.16, 0.06, 0.985),
        ),
    ),
    ComparisonDefault(
        "phone",
        "Phone",
        _levels(
            _L("same", "the same", AGREE, 0.55, 0.65, 0.00001),
            _L("near", "one digit differs or two changed places", NEAR, 0.03, 0.03, 0.00002),
            _L("differ", "different", DIFFER, 0.42, 0.32, 0.99997),
        ),
    ),
    ComparisonDefault(
        "guardian",
        "Guardian",
        _levels(
            _L("same", "the same", AGREE, 0.25, 0.30, 0.00014),
            _L(
                "given_name",
                "the same given name, with the child's own family name",
                AGREE,
                0.30,
                0.35,
                0.0082,
            ),
            _L("near", "partly the same", NEAR, 0.20, 0.20, 0.025),
            _L("differ", "different", DIFFER, 0.25, 0.15, 0.98),
        ),
    ),
    ComparisonDefault(
        "school",
        "School",
        _levels(
            _L("same", "the same", AGREE, 0.70, 0.40, 0.002, True),
            _L("near", "nearly the same", NEAR, 0.08, 0.06, 0.004),
            _L("differ", "different", DIFFER, 0.22, 0.54, 0.994),
        ),
    ),
    ComparisonDefault(
        "upn",
        "UPN",
        _levels(
            _L("same", "the same", AGREE, 0.975, 0.00001, 0.000002),
            _L("near", "one character differs or two changed places", NEAR, 0.02, 0.01, 0.0001),
            _L("differ", "different", DIFFER, 0.005, 0.99, 0.9999),
        ),
    ),
    ComparisonDefault(
        "nhs_number",
        "NHS number",
        _levels(
            _L("same", "the same", AGREE, 0.975, 0.00001, 0.000002),
            _L("near", "one digit differs or two changed places", NEAR, 0.02, 0.01, 0.0001),
            _L("differ", "different", DIFFER, 0.005, 0.99, 0.9999),
        ),
    ),
)
