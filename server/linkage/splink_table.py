"""Records as rows of the table that Splink reads, and the level of two of them in every comparison.

A row holds the record itself (`record`, for our comparison functions), our blocking keys (`keys`), and a
column a field, which training passes block on and term frequencies are counted over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

from server.linkage.blocking import blocking_keys, main_words
from server.linkage.levels import COMPARISONS
from server.linkage.model import Model, TermFrequencies, default_model
from server.linkage.names import canonical
from server.linkage.score import Scorer
from server.linkage.standardise import Record, decode_record, encode_record

# One comparison after the other asks for the same pairs: training's random ones, at about 100 bytes a pair.
PAIRS_REMEMBERED_MAX = 500_000
RECORDS_REMEMBERED_MAX = 50_000  # at about 1,000 bytes a record; the pairs of one key come together

Row = dict[str, Any]


def _given(record: Record) -> str:
    words = main_words(record.given) or record.aliases.replace("|", " ").split()
    return canonical(words[0]) if words else ""


def _born(record: Record) -> str:
    return str(record.born or "") or (f"{record.born_from}-{record.born_to}" if record.born_to else "")


def _address(record: Record) -> str:
    return " ".join(filter(None, (record.number, record.address, record.postcode or record.outward)))


FIELDS: Final[dict[str, Callable[[Record], str]]] = {
    "given_names": _given,
    "family_name": lambda record: " ".join(sorted(map(canonical, record.family.split()))),
    "date_of_birth": _born,
    "sex": lambda record: str(record.sex or ""),
    "address": _address,
    "phone": lambda record: record.phone,
    "guardian": lambda record: record.guardian,
    "school": lambda record: record.school,
    "upn": lambda record: record.upn,
    "nhs_number": lambda record: record.nhs_number,
}
"""For a comparison, the text of its field: "" exactly where nothing is known that could be compared."""


def row(unique_id: int, record: Record, keys: list[int]) -> Row:
    """One row; a field of which nothing is known is null."""
    fields = {name: field(record) or None for name, field in FIELDS.items()}
    return {"unique_id": unique_id, "record": encode_record(record), "keys": keys, **fields}


def rows(records: Iterable[Record], too_common: Container[int] = ()) -> Iterator[Row]:
    """A row for each record, numbered from 0. A key that more children share than a note would look up,
    `too_common`, is left out, as it is for a note: its finer keys stand beside it."""
    for number, record in enumerate(records):
        yield row(number, record, [key for key in blocking_keys(record) if key not in too_common])


class Near:
    """Whether two encoded records have enough in common to be one child or of one home, for an SQL function.

    The pairs that it drops are those that `Decider.propose` calls negligible. Travels to other processes.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._scorer: Scorer | None = None

    def __reduce__(self) -> tuple[type[Near], tuple[Model]]:
        return Near, (self._model,)

    def __call__(self, left: bytes, right: bytes) -> bool:
        """One pair."""
        if self._scorer is None:
            self._scorer = Scorer(self._model)
        return self._scorer.score(_decoded(bytes(left)), _decoded(bytes(right))) is not None


@lru_cache(maxsize=RECORDS_REMEMBERED_MAX)
def _decoded(encoded: bytes) -> Record:
    return decode_record(encoded)


class Levels:
    """Names of the levels that two encoded records reach, for SQL functions. Travels to other processes."""

    def __init__(self, counts: TermFrequencies) -> None:
        self._counts = counts
        self._scorer: Scorer | None = None
        self._numbers: dict[bytes, int] = {}
        self._pairs: dict[int, tuple[int, ...]] = {}
        self._patterns: dict[tuple[int, ...], tuple[int, ...]] = {}

    def __reduce__(self) -> tuple[type[Levels], tuple[TermFrequencies]]:
        return Levels, (self._counts,)

    def of(self, left: bytes, right: bytes) -> tuple[int, ...]:
        """Positions of the levels of two encoded records, one for each comparison, missing ones too."""
        numbers = self._numbers
        pair = (numbers.setdefault(left, len(numbers)) << 32) + numbers.setdefault(right, len(numbers))
        levels = self._pairs.get(pair)
        if levels is None:
            if len(self._pairs) >= PAIRS_REMEMBERED_MAX:
                self._pairs, self._numbers = {}, {}
                return self.of(left, right)
            levels = tuple(self._compare(left, right))
            levels = self._pairs[pair] = self._patterns.setdefault(levels, levels)
        return levels

    def _compare(self, left: bytes, right: bytes) -> list[int]:
        if self._scorer is None:
            model = default_model().with_term_frequencies(self._counts)
            self._scorer = Scorer(model, negligible_bits=math.inf)
        scored = self._scorer.score(_decoded(left), _decoded(right))
        assert scored  # nothing is negligible
        return scored[1]

    def function(self, at: int) -> Callable[[bytes, bytes], str]:
        """The level's name in comparison number `at`, as a function of two encoded records."""
        names = [level.name for level in COMPARISONS[at].levels]
        return lambda left, right: names[self.of(bytes(left), bytes(right))[at]]
