"""Which descriptions are identifiable, and when too many of them are left to a person."""

from __future__ import annotations

from typing import Any

import pytest

from server.linkage.identifiable import REVIEW_SHARE_MAX, ReviewShare, identifiable
from tests.linkage.builders import record

NOTHING: dict[str, Any] = {
    "date_of_birth": None, "address": None, "postcode": None, "school": None, "phone": None, "guardian": None,
}  # fmt: skip
AGED = {**NOTHING, "age": 13.0}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({**NOTHING, "date_of_birth": "kept"}, True),
        (NOTHING, False),
        (AGED, False),
        ({**AGED, "guardian": "Miriam Okonjo"}, False),
        ({**AGED, "school": "Harris Academy Peckham"}, True),
        ({**AGED, "phone": "07700 900123"}, True),
        ({**AGED, "phone": "999"}, False),
        ({**AGED, "postcode": "SE15 3SX"}, True),
        ({**AGED, "postcode": "SE15"}, False),
        ({**AGED, "address": "14 Consort Road"}, True),
        ({**AGED, "address": "Consort Road"}, False),
        ({**AGED, "upn": "H801200001234"}, True),
        ({**NOTHING, "school": "Harris Academy Peckham"}, False),
        ({"given_names": None}, False),
        ({"given_names": "unknown"}, False),
        ({"family_name": None}, False),
    ],
)
def test_identifiable_is_a_whole_name_with_a_birth_or_with_an_age_and_something_of_their_own(
    changes: dict[str, Any], expected: bool
) -> None:
    kept = {name: value for name, value in changes.items() if value != "kept"}
    assert identifiable(record(**kept)) is expected


def test_the_share_is_too_much_only_above_the_limit() -> None:
    assert ReviewShare(0, 0).share == 0.0 and not ReviewShare(0, 0).too_much
    at = round(REVIEW_SHARE_MAX * 100)
    assert not ReviewShare(100, at).too_much
    assert ReviewShare(100, at + 1).too_much
