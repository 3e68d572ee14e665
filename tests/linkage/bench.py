"""How long linkage takes for one note: `python -m tests.linkage.bench [children] [notes]`.

Children and notes are made up (see population.py); the registry is held in memory, each record decoded from
its bytes for every comparison, as a server would. Processor time of this process, not wall time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterable, Sequence
from random import Random

from server.linkage.blocking import blocking_keys, lookup_keys
from server.linkage.candidates import MemoryIndex
from server.linkage.decide import REVIEW, Decider
from server.linkage.identifiable import REVIEW_SHARE_MAX, ReviewShare, identifiable
from server.linkage.model import count_terms, default_model
from server.linkage.standardise import Record, decode_record, encode_record, standardise
from tests.linkage.population import City, describe, make_city

SEED = 20260302
# How often each kind of note is written; the rest is plain.
MIX = (
    "slips",
    "spelling",
    "short form",
    "date error",
    "moved",
    "age and school",
    "age only",
    "vague",
    "no given name",
)


class BlobIndex:
    """A MemoryIndex that decodes every record it gives, as one over a database does."""

    def __init__(self, index: MemoryIndex, blobs: dict[int, bytes]) -> None:
        self._index, self._blobs = index, blobs
        self.clusters = index.clusters

    def children(self, keys: Sequence[int], limit: int) -> Sequence[tuple[int, int]]:
        return self._index.children(keys, limit)

    def records(self, child_ids: Collection[int]) -> Iterable[tuple[int, Record, bool]]:
        return [(child_id, decode_record(self._blobs[child_id]), False) for child_id in child_ids]


def _index(city: City) -> tuple[BlobIndex, Decider]:
    records = {person: standardise(city.people[person].full()) for person in city.known}
    index = MemoryIndex()
    for person, one in records.items():
        index.add(person, one)
    blobs = {person: encode_record(one) for person, one in records.items()}
    return BlobIndex(index, blobs), Decider(
        default_model().with_term_frequencies(count_terms(records.values()))
    )


def _at(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def main() -> None:
    """Print the figures."""
    children = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    notes = int(sys.argv[2]) if len(sys.argv) > 2 else 6_000
    city = make_city(children, SEED)
    source, decider = _index(city)
    random, known = Random(SEED), range(len(city.people))
    kinds = ("plain", "plain", *MIX)
    described = [
        describe(city.people[random.choice(known)], random.choice(kinds), random) for _ in range(notes)
    ]
    started = time.process_time()
    records = [standardise(one) for one in described]
    standardised = time.process_time()
    for record in records:
        blocking_keys(record)
    keyed = time.process_time()
    for record in records:
        lookup_keys(record)
    looked = time.process_time()
    took, compared = [], []
    asked = left = 0
    for record in records:
        before = time.process_time_ns()
        decision = decider.decide(record, source)
        took.append((time.process_time_ns() - before) / 1_000)
        compared.append(float(decision.compared))
        if identifiable(record):
            asked, left = asked + 1, left + (decision.outcome == REVIEW)
    per_note = 1e6 / notes
    print(f"seed {SEED}, {len(city.known):,} known children, {notes:,} notes; processor time in microseconds")
    print(f"standardise        {(standardised - started) * per_note:6.1f}")
    print(f"blocking keys      {(keyed - standardised) * per_note:6.1f}")
    print(f"look-up keys       {(looked - keyed) * per_note:6.1f}")
    for what, values in (("decide", took), ("candidates", compared)):
        mean = sum(values) / notes
        print(f"{what:18} {mean:6.1f} mean, {_at(values, 0.5):.0f} p50, {_at(values, 0.99):.0f} p99")
    share = ReviewShare(asked, left)
    print(f"left to a person   {share.share:6.1%} of {asked:,} identifiable (at most {REVIEW_SHARE_MAX:.0%})")


if __name__ == "__main__":
    main()
