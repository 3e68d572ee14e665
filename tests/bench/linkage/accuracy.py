"""How often each method is right, on each data set: the same readings for ours and for the peers."""

from __future__ import annotations

from typing import Any, NamedTuple

from server.linkage.decide import LINK, REVIEW, Decider
from server.linkage.model import Model, default_model
from server.records.index import StoredIndex
from server.storage import StorageSettings, open_store
from tests.bench.linkage.data import Data, record_rows
from tests.bench.linkage.peers import Scored, arrow, splink_linker, splink_pairs
from tests.bench.linkage.registry import Held
from tests.linkage.measure import Decile, Outcome, calibration, city, judged, run
from tests.linkage.public import best_f1, deduplicated, linked

SURE = 0.95  # the peers' threshold for a link, as LINKAGE.md measured them
PRECISION = 0.999
READ_SECONDS_MAX = 1_800.0  # one read decides all notes
DECILE_NOTES_MIN = 300  # fewer tell nothing about a share


class Fit(NamedTuple):
    """Best F1 over all thresholds with its precision and recall; precision and recall of what is linked."""

    f1: float
    precision: float
    recall: float
    linked_precision: float
    linked_recall: float


def ours_public(data: Data, model: Model | None = None) -> Fit:
    """Ours on a public data set: the best candidate of every note, or every pair where there are no notes."""
    if not data.notes:
        scores, pairs = deduplicated([(int(person), one) for person, one in data.known], model)
        return Fit(*best_f1(scores, pairs), float("nan"), float("nan"))
    scores, (right, wrong) = linked(dict(data.known), data.notes, model)
    return Fit(*best_f1(scores, data.pairs), right / max(right + wrong, 1), right / data.pairs)


def peer_fit(data: Data, pairs: list[Scored]) -> Fit:
    """A peer's pairs, by the better of two readings: all of them, or the best of every note."""
    readings = [pairs]
    if data.notes:
        best: dict[str, Scored] = {}
        for pair in pairs:
            if pair.right not in best or best[pair.right].weight < pair.weight:
                best[pair.right] = pair
        readings.append(list(best.values()))
    return max(_fit(data, reading) for reading in readings)


def _fit(data: Data, pairs: list[Scored]) -> Fit:
    scores = [(pair.weight, data.is_true(pair.left, pair.right)) for pair in pairs]
    sure = [data.is_true(pair.left, pair.right) for pair in pairs if pair.probability >= SURE]
    return Fit(*best_f1(scores, data.pairs), sum(sure) / max(len(sure), 1), sum(sure) / data.pairs)


class City(NamedTuple):
    """Ours on a generated population."""

    outcomes: list[Outcome]

    @property
    def precision(self) -> float:
        """Of automatic links."""
        links = [o for o in self.outcomes if o.decision.outcome == LINK]
        return 1 - sum(o.wrong for o in links) / max(len(links), 1)

    @property
    def worst(self) -> tuple[str, float]:
        """The stratum with the least precision of automatic links."""
        strata: dict[str, list[bool]] = {}
        for outcome in self.outcomes:
            if outcome.decision.outcome == LINK:
                strata.setdefault(outcome.case.stratum, []).append(not outcome.wrong)
        return min(((name, sum(held) / len(held)) for name, held in strata.items()), key=lambda pair: pair[1])

    def recall(self, *, identifiable: bool) -> float:
        """Of notes about registered children: linked to the right one."""
        known = [
            o for o in self.outcomes if o.case.truth is not None and (o.case.identifiable or not identifiable)
        ]
        return sum(o.decision.outcome == LINK and not o.wrong for o in known) / len(known)

    def share(self, stratum: str) -> float:
        """Of the notes of a stratum, linked."""
        held = [o for o in self.outcomes if o.case.stratum == stratum]
        return sum(o.decision.outcome == LINK for o in held) / max(len(held), 1)

    @property
    def found(self) -> float:
        """Of identifiable notes about registered children: the child was among those compared."""
        known = [o for o in self.outcomes if o.case.truth is not None and o.case.identifiable]
        return sum(o.found for o in known) / len(known)

    @property
    def review(self) -> float:
        """Of identifiable notes: sent to a person."""
        named = [o for o in self.outcomes if o.case.identifiable]
        return sum(o.decision.outcome == REVIEW for o in named) / len(named)


def ours_city(held: Held, model: Model | None = None) -> City:
    """Every case against the registry on disk."""
    store = open_store(held.database, StorageSettings(statement_seconds_max=READ_SECONDS_MAX))
    decider = Decider((model or default_model()).with_term_frequencies(held.counts))
    try:
        return City(store.read_now(lambda tx: run(held.cases, StoredIndex(tx), decider)))
    finally:
        store.close_now()


def city_calibration(children: int, notes: int, seed: int) -> list[Decile]:
    """Of notes as they come about a city of its own, the deciles of probability above one half."""
    return [decile for decile in calibration(judged(city(children, notes, seed))) if decile.low >= 0.5]


def calibration_error(deciles: list[Decile]) -> float:
    """The largest distance of a decile that holds enough notes, in points."""
    return max((d.error for d in deciles if d.notes >= DECILE_NOTES_MIN), default=0.0)


class CitySplink(NamedTuple):
    """Splink on the same cases: the best candidate of every note, linked at `SURE`."""

    precision: float
    recall: float
    recall_at_precision: float
    linked: dict[str, tuple[int, int, int]]
    """For each stratum: notes, right links, wrong links."""


def splink_city(held: Held) -> tuple[CitySplink, dict[str, Any]]:
    """Splink trained on and applied to the same registry and notes; its settings for the measure of speed."""
    import pyarrow.parquet as pq

    notes = record_rows(((case.truth, case.note) for case in held.cases), 1)
    data = Data("city", "record", [], peers=[[], notes])
    linker = splink_linker(data, tables=[pq.read_table(held.peer_rows), arrow(notes)])
    best: dict[int, Scored] = {}
    for pair in splink_pairs(linker):
        number = int(pair.right.split("-")[1])
        if number not in best or best[number].weight < pair.weight:
            best[number] = pair
    judged = []
    tally: dict[str, list[int]] = {}
    for number, case in enumerate(held.cases):
        row = tally.setdefault(case.stratum, [0, 0, 0])
        row[0] += 1
        if number in best:
            is_right = best[number].left == f"0-{case.truth}"
            judged.append((best[number].weight, is_right, case.identifiable))
            if best[number].probability >= SURE:
                row[1 if is_right else 2] += 1
    identifiable = sum(case.truth is not None and case.identifiable for case in held.cases)
    right = sum(row[1] for row in tally.values())
    wrong = sum(row[2] for row in tally.values())
    known = sum(case.truth is not None for case in held.cases)
    fit = CitySplink(
        right / max(right + wrong, 1), right / known, _recall_at(judged, identifiable),
        {name: (row[0], row[1], row[2]) for name, row in tally.items()},
    )  # fmt: skip
    settings: dict[str, Any] = linker.misc.save_model_to_json()
    return fit, settings


def _recall_at(judged: list[tuple[float, bool, bool]], identifiable: int) -> float:
    """Recall of identifiable notes at the lowest threshold whose links are right often enough."""
    best = right = named = 0
    for at, (_, true, is_named) in enumerate(sorted(judged, reverse=True), 1):
        right += true
        named += true and is_named
        if right / at >= PRECISION:
            best = named
    return best / identifiable
