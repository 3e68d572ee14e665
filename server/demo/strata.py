"""What makes a description hard, how common each kind is, and how much of a record an officer knows."""

from enum import StrEnum

from server.demo.draw import Draw


class Stratum(StrEnum):
    """What is hard about a description. The last three are of nobody on the registry."""

    CLEAN = "clean"
    PARTIAL = "partial"
    TYPING = "typing"
    HEARING = "hearing"
    TRANSLITERATION = "transliteration"
    SHORT_FORM = "short_form"
    DOUBLE_BARRELLED = "double_barrelled"
    SWAPPED_NAMES = "swapped_names"
    SWAPPED_DATE = "swapped_date"
    AGE_ONLY = "age_only"
    MOVED = "moved"
    TWIN = "twin"
    SIBLING = "sibling"
    VAGUE = "vague"
    UNREGISTERED_SIBLING = "unregistered_sibling"
    UNREGISTERED_TWIN = "unregistered_twin"
    UNKNOWN = "unknown"


NOBODY_KNOWN = frozenset({Stratum.UNREGISTERED_SIBLING, Stratum.UNREGISTERED_TWIN, Stratum.UNKNOWN})


class Quality(StrEnum):
    """How good the notes of a set are: which strata are common, and how much is left out."""

    GOOD = "good"
    MIXED = "mixed"
    POOR = "poor"


_S = Stratum
STRATA = {
    Quality.GOOD: Draw([(_S.CLEAN, 55), (_S.PARTIAL, 25), (_S.MOVED, 4), (_S.TYPING, 4), (_S.UNKNOWN, 12)]),
    Quality.MIXED: Draw(
        [
            (_S.CLEAN, 8), (_S.PARTIAL, 20), (_S.TYPING, 8), (_S.HEARING, 6), (_S.TRANSLITERATION, 5),
            (_S.SHORT_FORM, 4), (_S.DOUBLE_BARRELLED, 2), (_S.SWAPPED_NAMES, 3), (_S.SWAPPED_DATE, 3),
            (_S.AGE_ONLY, 5), (_S.MOVED, 6), (_S.TWIN, 2), (_S.SIBLING, 6), (_S.VAGUE, 5),
            (_S.UNREGISTERED_SIBLING, 5), (_S.UNREGISTERED_TWIN, 2), (_S.UNKNOWN, 12),
        ]
    ),
    Quality.POOR: Draw(
        [
            (_S.PARTIAL, 10), (_S.TYPING, 12), (_S.HEARING, 10), (_S.TRANSLITERATION, 8), (_S.SHORT_FORM, 8),
            (_S.DOUBLE_BARRELLED, 4), (_S.SWAPPED_NAMES, 4), (_S.SWAPPED_DATE, 4), (_S.AGE_ONLY, 10),
            (_S.MOVED, 6), (_S.TWIN, 4), (_S.SIBLING, 6), (_S.VAGUE, 14), (_S.UNREGISTERED_SIBLING, 8),
            (_S.UNREGISTERED_TWIN, 3), (_S.UNKNOWN, 12),
        ]
    ),
}  # fmt: skip
VAGUE_AGE_MIN = 8
"""A younger child who is out alone is soon somebody's, and gets a full note."""

REDRAWS_MAX = 8
"""A stratum that a child cannot have (no twin, no short form) is drawn again this often, then PARTIAL."""

EXTRA_SLIP = {Quality.GOOD: 0.0, Quality.MIXED: 0.06, Quality.POOR: 0.25}
"""How often a description has a slip of the fingers besides what its stratum is about."""

Share = dict[str, float]
ALL_KNOWN: Share = {
    "middle": 0.9, "date_of_birth": 1, "sex": 1, "address": 0.9, "postcode": 0.9, "school": 0.9, "phone": 0.5,
    "guardian": 0.7, "upn": 0.1, "nhs_number": 0.03, "aliases": 0.6, "description": 0.1,
}  # fmt: skip
AS_USUAL: Share = {
    "middle": 0.25, "date_of_birth": 0.72, "sex": 0.96, "address": 0.5, "postcode": 0.42, "school": 0.55,
    "phone": 0.14, "guardian": 0.25, "upn": 0.02, "nhs_number": 0.005, "aliases": 0.3, "description": 0.2,
}  # fmt: skip
HOUSEHOLD_KNOWN: Share = AS_USUAL | {"address": 0.85, "postcode": 0.75, "guardian": 0.5, "phone": 0.35}
NAME_AND_AGE: Share = dict.fromkeys(AS_USUAL, 0.0) | {
    "middle": 0.1, "sex": 0.95, "school": 0.3, "description": 0.4,
}  # fmt: skip

FAVOURED = {Stratum.TWIN: 0.5, Stratum.DOUBLE_BARRELLED: 0.15, Stratum.TRANSLITERATION: 0.05}
"""Few children can have these, so those who can get them this often besides."""
