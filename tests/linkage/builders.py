"""Descriptions and registries for tests: one child, Leila Farouk-Bennett, and small changes to it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

from server.linkage.candidates import MemoryIndex
from server.linkage.decide import Decider, Decision
from server.linkage.model import count_terms, default_model
from server.linkage.standardise import Description, Record, standardise

OBSERVED_ON = datetime.date(2026, 3, 2)

CHILD: dict[str, Any] = {
    "given_names": "Leila",
    "family_name": "Okonjo",
    "date_of_birth": datetime.date(2013, 5, 27),
    "observed_on": OBSERVED_ON,
    "sex": "female",
    "address": "14 Consort Road",
    "postcode": "SE15 3SX",
    "school": "Harris Academy Peckham",
    "phone": "07700 900123",
    "guardian": "Miriam Okonjo",
}


def described(**changes: Any) -> Description:
    """The child, with fields changed; None for "not known"."""
    return Description(**{**CHILD, **changes})


def record(**changes: Any) -> Record:
    """The same, standardised."""
    return standardise(described(**changes))


def index_of(records: Iterable[Record], restricted: Iterable[int] = ()) -> MemoryIndex:
    """An index whose child ids count from 1."""
    index, hidden = MemoryIndex(), set(restricted)
    for child_id, one in enumerate(records, 1):
        index.add(child_id, one, restricted=child_id in hidden)
    return index


def decider(records: Iterable[Record] = ()) -> Decider:
    """The default model, with the counts of a registry if one is given."""
    known = list(records)
    model = default_model()
    return Decider(model.with_term_frequencies(count_terms(known)) if known else model)


def decided(note: Record, *known: Record) -> Decision:
    """The decision on a note where these children are known, in a registry of ordinary size."""
    return decider().decide(note, index_of(known))
