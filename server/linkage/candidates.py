"""Where candidates come from: the port to stored children, and a plain index in memory (packed.py has a small one).

A note costs its source one call of `children` (two when a key is oversized) and one of `records` for each stage:
the first alone where that settles it, then what is near, then in doubt the wide keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from server.linkage.blocking import Lookup, blocking_keys, first_lookups, near_lookups, wide_lookups
from server.linkage.standardise import Record

# A key shared by more children than this tells little: its finer keys are used instead of it. Each candidate
# costs about 4 microseconds, so no key may cost more than a quarter of a millisecond.
CHILDREN_PER_KEY_MAX = 64
# A wide key is looked up in doubt, and hardly one in a hundred of its children comes into question.
CHILDREN_PER_WIDE_KEY_MAX = 24


class CandidateSource(Protocol):
    """Known children by key and by id, as of one moment.

    Over SQL, `children` is one statement (a `SELECT key, child_id FROM child_key WHERE key = :k0 LIMIT :n`
    for each key, joined by UNION ALL) and `records` another (`SELECT child_id, record, restricted FROM child
    WHERE child_id IN (...)`, each blob through `decode_record`).

    `clusters`: for each record that `records` gave and that is one of several of one child, a number which
    those share. They count as one candidate, and the likeliest of them speaks for the child.
    """

    @property
    def clusters(self) -> Mapping[int, int]: ...

    def children(self, keys: Sequence[int], limit: int) -> Sequence[tuple[int, int]]:
        """(key, child id) for every child stored under each of the keys. A key with more than `limit`
        children gives `limit + 1` of them, whichever: it is then known to be oversized and is not used."""
        ...

    def records(self, child_ids: Collection[int]) -> Iterable[tuple[int, Record, bool]]:
        """(child id, record, restricted) of each of these children that exists, in any order. Nothing is
        ever linked automatically to a restricted child."""
        ...


Found = tuple[dict[int, int], bool]
"""For each child worth comparing, under how many of the keys it was found; whether some name was too common to be
looked up by."""


def find(record: Record, source: CandidateSource) -> tuple[set[int], bool]:
    """(ids of all the children worth comparing, whether some name was too common to be looked up by)."""
    found, common = set[int](), False
    for stage in STAGES:
        more, common_too = stage(record, source)
        found, common = found | more.keys(), common or common_too
    return found, common


def find_first(record: Record, source: CandidateSource) -> Found:
    """By what every note looks up."""
    return _find(first_lookups(record), source, CHILDREN_PER_KEY_MAX)


def find_near(record: Record, source: CandidateSource) -> Found:
    """By what is looked up unless the first settles it."""
    return _find(near_lookups(record), source, CHILDREN_PER_KEY_MAX)


def find_wide(record: Record, source: CandidateSource) -> Found:
    """By what is looked up in doubt."""
    return _find(wide_lookups(record), source, CHILDREN_PER_WIDE_KEY_MAX)


STAGES = (find_first, find_near, find_wide)


def _find(lookups: Sequence[Lookup], source: CandidateSource, most: int) -> Found:
    """An oversized key is replaced by its finer keys; if these are oversized too they are left out whole, since
    any part of them would be an arbitrary choice.
    """
    if not lookups:
        return {}, False
    keys = [lookup.key for lookup in lookups]
    found, oversized = _collect(keys, source, most)
    if not oversized:
        return found, False
    finer = list(dict.fromkeys(k for lookup in lookups if lookup.key in oversized for k in lookup.refined))
    if not finer:
        return found, True
    more, still = _collect(finer, source, CHILDREN_PER_KEY_MAX)
    for child_id, times in more.items():
        found[child_id] = found.get(child_id, 0) + times
    return found, bool(still)


def _collect(keys: Sequence[int], source: CandidateSource, most: int) -> tuple[dict[int, int], set[int]]:
    """How often each child was found, and the keys that hold too many, which count for nothing."""
    rows = source.children(keys, most)
    oversized: set[int] = set()
    if len(rows) > most:
        sizes = Counter([key for key, _ in rows])
        oversized = {key for key, size in sizes.items() if size > most}
    found: dict[int, int] = {}
    for key, child_id in rows:
        if key not in oversized:
            found[child_id] = found.get(child_id, 0) + 1
    return found, oversized


class MemoryIndex:
    """A few known children in memory: for tests and for the simulator."""

    def __init__(self) -> None:
        self.clusters: dict[int, int] = {}
        # Most keys hold one child: an integer costs a fifth of a list.
        self._keys: dict[int, int | list[int]] = {}
        self._records: dict[int, Record] = {}
        self._restricted: set[int] = set()

    def __len__(self) -> int:
        return len(self._records)

    def add(self, child_id: int, record: Record, *, restricted: bool = False) -> None:
        """Store a child. Raises ValueError if the id is taken."""
        if child_id in self._records:
            raise ValueError(f"child {child_id} is in the index already")
        self._records[child_id] = record
        if restricted:
            self._restricted.add(child_id)
        keys = self._keys
        for key in blocking_keys(record):
            held = keys.get(key)
            if held is None:
                keys[key] = child_id
            elif isinstance(held, int):
                keys[key] = [held, child_id]
            else:
                held.append(child_id)

    def children(self, keys: Sequence[int], limit: int) -> Sequence[tuple[int, int]]:
        """See CandidateSource."""
        found: list[tuple[int, int]] = []
        for key in keys:
            held = self._keys.get(key)
            if held is None:
                continue
            if isinstance(held, int):
                found.append((key, held))
            else:
                found += [(key, child_id) for child_id in held[: limit + 1]]
        return found

    def records(self, child_ids: Collection[int]) -> Iterable[tuple[int, Record, bool]]:
        """See CandidateSource."""
        records, restricted = self._records, self._restricted
        return [(i, records[i], i in restricted) for i in child_ids if i in records]
