"""Whether a description says enough to know a child by, and how many of those may be left to a person. Pure.

A model that sends everything to review makes no mistake and is of no use: so the share of the identifiable
descriptions that it leaves to a person is measured, on the running server and in the benches alike.
"""

from __future__ import annotations

import msgspec

from server.linkage.standardise import Record

REVIEW_SHARE_MAX = 0.15
"""A model that leaves more than this share of identifiable descriptions to a person has failed."""


def identifiable(record: Record) -> bool:
    """A given name and a family name, and a date of birth; or an age with a home, school, phone or own number."""
    if not (record.given and record.family):
        return False
    if record.born:
        return True
    home = record.postcode or (record.number and record.address)
    return bool(record.born_to and (home or record.school or record.phone or record.upn or record.nhs_number))


class ReviewShare(msgspec.Struct, frozen=True):
    """Of so many identifiable descriptions, how many were left to a person."""

    identifiable: int
    left: int

    @property
    def share(self) -> float:
        """From 0 to 1; 0 where there were none."""
        return self.left / self.identifiable if self.identifiable else 0.0

    @property
    def too_much(self) -> bool:
        """Whether the model has failed."""
        return self.share > REVIEW_SHARE_MAX
