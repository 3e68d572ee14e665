"""The peers at their best: Splink 5 with its comparison library, and recordlinkage's ECM.

Both train without labels on the very data, block by several rules, and are judged by the better of two
readings: every pair, or the best candidate of every note.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.bench.linkage.data import Data, Row

SEED = 20260302


class Kit(NamedTuple):
    """What a kind of data is compared and blocked by."""

    comparisons: dict[str, Any]
    blocking: list[tuple[str, ...]]
    wide: list[tuple[str, ...]]  # rules that a query of one note had better not pay for
    training: list[tuple[str, ...]]
    certain: list[tuple[str, ...]]
    rare: tuple[str, ...]  # columns with term frequencies


class Scored(NamedTuple):
    """One pair with a probability: unique ids as in `Data.peers`."""

    left: str
    right: str
    probability: float
    weight: float


def kit(kind: str) -> Kit:
    """Comparisons, blocking rules and training passes for `febrl` and for our fields."""
    import splink.comparison_library as cl

    if kind == "febrl":
        return Kit(
            {
                "given_name": cl.NameComparison("given_name").configure(term_frequency_adjustments=True),
                "surname": cl.NameComparison("surname").configure(term_frequency_adjustments=True),
                "date_of_birth": cl.DamerauLevenshteinAtThresholds("date_of_birth", [1, 2]),
                "street_number": cl.LevenshteinAtThresholds("street_number", [1]),
                "address_1": cl.JaroWinklerAtThresholds("address_1", [0.92, 0.8]).configure(
                    term_frequency_adjustments=True
                ),
                "address_2": cl.JaroWinklerAtThresholds("address_2", [0.92, 0.8]),
                "suburb": cl.JaroWinklerAtThresholds("suburb", [0.92, 0.8]).configure(term_frequency_adjustments=True),
                "postcode": cl.DamerauLevenshteinAtThresholds("postcode", [1, 2]),
                "state": cl.ExactMatch("state"),
            },
            [
                ("given_name", "surname"), ("date_of_birth",), ("given_name", "postcode"), ("surname", "postcode"),
                ("street_number", "address_1"), ("surname", "suburb"), ("given_name", "suburb"),
                ("given_name", "street_number"), ("surname", "street_number"),
            ],
            [],
            [("date_of_birth",), ("given_name", "surname"), ("postcode", "suburb")],
            [("given_name", "surname", "date_of_birth"), ("date_of_birth", "postcode")],
            ("given_name", "surname", "address_1", "suburb"),
        )  # fmt: skip
    return Kit(
        {
            "first": cl.NameComparison("first").configure(term_frequency_adjustments=True),
            "middle": cl.ExactMatch("middle"),
            "family": cl.NameComparison("family").configure(term_frequency_adjustments=True),
            "born": cl.DamerauLevenshteinAtThresholds("born", [1, 2]),
            "sex": cl.ExactMatch("sex"),
            "number": cl.LevenshteinAtThresholds("number", [1]),
            "street": cl.JaroWinklerAtThresholds("street", [0.92, 0.8]),
            "postcode": cl.ExactMatch("postcode"),
            "school": cl.JaroWinklerAtThresholds("school", [0.92]).configure(term_frequency_adjustments=True),
            "phone": cl.DamerauLevenshteinAtThresholds("phone", [1]),
            "guardian": cl.JaroWinklerAtThresholds("guardian", [0.92, 0.8]),
            "upn": cl.DamerauLevenshteinAtThresholds("upn", [1]),
            "nhs_number": cl.DamerauLevenshteinAtThresholds("nhs_number", [1]),
        },
        [
            ("first", "born"), ("family", "born"), ("first", "family", "postcode"), ("first", "phone"),
            ("first", "number", "street"), ("family", "number", "street"), ("born", "postcode"), ("upn",),
            ("nhs_number",), ("first", "family", "school"), ("first", "family", "sex", "outward"),
        ],
        [("born", "sex"), ("first", "family", "sex"), ("number", "street")],
        [("first", "born"), ("family", "born"), ("first", "number", "street")],
        [("first", "family", "born")],
        ("first", "family", "school"),
    )  # fmt: skip


def splink_linker(data: Data, tables: Sequence[Any] | None = None) -> Any:
    """A trained linker over the data's two sides (or one, to be deduplicated), or over Arrow tables of them."""
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    logging.getLogger("splink").setLevel(logging.ERROR)
    own = kit(data.kind)
    settings = SettingsCreator(
        link_type="link_only" if len(data.peers) > 1 else "dedupe_only",
        comparisons=[own.comparisons[column] for column in _known(own, data.peers)],
        blocking_rules_to_generate_predictions=[block_on(*rule) for rule in own.blocking + own.wide],
        retain_matching_columns=False,
        max_iterations=50,
    )
    api = DuckDBAPI()
    sides = [
        api.register(side, dataset_display_name=f"side_{at}")
        for at, side in enumerate(tables or [arrow(side) for side in data.peers])
    ]
    linker = Linker(sides if len(sides) > 1 else sides[0], settings, log_level=None)
    training = linker.training
    training.estimate_probability_two_random_records_match(
        [block_on(*rule) for rule in own.certain], recall=0.6
    )
    training.estimate_u_using_random_sampling(max_pairs=4e6, seed=SEED)
    for rule in own.training:
        training.estimate_parameters_using_expectation_maximisation(block_on(*rule))
    return linker


def _known(own: Kit, sides: Sequence[Sequence[Row]]) -> list[str]:
    """The columns of which every side knows something, and not always the same."""
    told = [side for side in sides if side]
    return [c for c in own.comparisons if all(len({r[c] for r in side} - {None}) > 1 for side in told)]


def arrow(rows: Sequence[Row]) -> Any:
    """Rows as an Arrow table, text columns throughout."""
    import pyarrow as pa

    columns = {name: pa.array([None if r[name] is None else str(r[name]) for r in rows], pa.string())
               for name in rows[0]}  # fmt: skip
    return pa.table(columns)


def splink_pairs(linker: Any) -> list[Scored]:
    """Every pair that blocking yields, scored."""
    frame = linker.inference.predict(threshold_match_probability=0.001).as_pyarrow_table().to_pydict()
    return [
        Scored(min(left, right), max(left, right), probability, weight)
        for left, right, probability, weight in zip(
            frame["unique_id_l"],
            frame["unique_id_r"],
            frame["match_probability"],
            frame["match_weight"],
            strict=True,
        )
    ]


def ecm_pairs(data: Data) -> list[Scored]:
    """recordlinkage's ECM over the same blocks and much the same comparisons, agreeing or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _ecm_pairs(data)


def _ecm_pairs(data: Data) -> list[Scored]:
    import pandas as pd
    import recordlinkage as rl

    own = kit(data.kind)
    sides = [pd.DataFrame(side).set_index("unique_id").astype(object) for side in data.peers]
    sides = [side.where(side.notna(), None) for side in sides]
    index = rl.Index()
    for rule in own.blocking:  # among the wider rules' pairs its matches are too few for it to find
        index.block(list(rule))
    pairs = index.index(*sides)
    compare = rl.Compare()
    for column in _known(own, data.peers):
        if column in ("sex", "state", "middle") or (column == "postcode" and data.kind != "febrl"):
            compare.exact(column, column, label=column)
        elif column in (
            "date_of_birth",
            "born",
            "phone",
            "upn",
            "nhs_number",
            "postcode",
            "street_number",
            "number",
        ):
            compare.string(column, column, method="damerau_levenshtein", threshold=0.8, label=column)
        else:
            compare.string(column, column, method="jarowinkler", threshold=0.85, label=column)
    features = compare.compute(pairs, *sides)
    classifier = rl.ECMClassifier(binarize=0.5)
    classifier.fit(features)
    probabilities = classifier.prob(features)
    return [Scored(min(pair), max(pair), p, p) for pair, p in probabilities.items() if p > 0.001]
