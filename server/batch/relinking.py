"""`earlysign relink`: children who stand twice in a registry, found by Splink in batch, proposed to people.

Splink blocks and scores on its engine. It knows no household class, so each of its pairs is weighed again as a
note is, brothers and sisters in mind, and gets its reason in words. Nothing is merged here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log2

import msgspec

from server.batch.engine import opened
from server.linkage.decide import Decider, Proposal
from server.linkage.model import Model, count_terms, default_model
from server.linkage.splink_settings import BLOCKING_NEAR, splink_settings
from server.linkage.standardise import Record

TWICE_SHARE = 0.02  # of a registry's children who stand on it a second time, before looking
# Splink's own threshold lies this much lower: its term frequencies differ from ours on swapped and short names.
SPLINK_LEAD_BITS = 4.0

Progress = Callable[[str, int, int], None]
"""Called with what is being done, and the steps done and to do."""


class Pair(msgspec.Struct, frozen=True):
    """Two records, by their numbers, the lower first, with Splink's probability beside ours."""

    left: int
    right: int
    splink_probability: float
    proposal: Proposal


def relink(
    known: Sequence[Record],
    *,
    model: Model | None,
    threshold: float,
    engine: str,
    progress: Progress,
) -> list[Pair]:
    """Pairs of records that are one child with a probability of `threshold` or more, likeliest first.

    Raises BatchError where the engine is not installed or does not start.
    """
    if len(known) < 2:
        return []
    counts = count_terms(known)
    counted = (model or default_model()).with_term_frequencies(counts)
    chance = min(2 * TWICE_SHARE / (len(known) - 1), 0.5)
    counted = msgspec.structs.replace(counted, probability_two_random_records_match=chance)
    prior_bits = log2(chance / (1 - chance))
    progress("tables", 0, 3)
    with opened(engine, counted) as run:
        from splink import Linker, SettingsCreator

        settings = splink_settings(counted, link_type="dedupe_only")
        settings["blocking_rules_to_generate_predictions"] = [dict(BLOCKING_NEAR)]
        linker = Linker(
            run.table("registry", known), SettingsCreator.from_path_or_dict(settings), log_level=None
        )
        progress("pairs", 1, 3)
        lowest = log2(threshold / (1 - threshold)) - SPLINK_LEAD_BITS
        found = linker.inference.predict(threshold_match_weight=lowest).as_record_list()
    progress("reasons", 2, 3)
    decider = Decider(counted)
    pairs = []
    for row in found:
        left, right = sorted((int(row["unique_id_l"]), int(row["unique_id_r"])))
        proposal = decider.propose(known[left], known[right], prior_bits)
        if proposal is not None and proposal.probability >= threshold:
            pairs.append(Pair(left, right, float(row["match_probability"]), proposal))
    progress("done", 3, 3)
    return sorted(pairs, key=lambda pair: (-pair.proposal.weight, pair.left, pair.right))
