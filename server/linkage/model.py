"""The model: comparisons, levels and their probabilities, in Splink's words.

Written by hand (`default_model`) or by training (`server/batch/training.py`). What Splink has no word for
stands beside its words: `outcome`, `household_probability`, shares and thresholds. `splink_settings` writes and
reads the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import pairwise
from math import log

import msgspec

from server.linkage.counts import NO_TERM_FREQUENCIES as NO_TERM_FREQUENCIES
from server.linkage.counts import TermFrequencies as TermFrequencies
from server.linkage.counts import count_terms as count_terms
from server.linkage.levels import COMPARISONS, MISSING

REGISTRY_SIZE_DEFAULT = 100_000
KNOWN_SHARE_DEFAULT = 0.65
# A name borne by fewer is treated as if borne by this share: rare names are no proof, and often misspelt.
TERM_FREQUENCY_MIN = 0.00005
# A family name that counts for so much more than an average one is rare: `counts.RARE_FAMILY_SHARE`, against a u
# of 3 in a thousand.
RARE_FAMILY_BITS = 1.58
# So many people of all ages with a known home, and hardly two of them under one roof, show that this registry
# holds one person of a home. Below this number, and of children, nothing is concluded: a registry may leave
# brothers and sisters out, and they are there all the same.
HOMES_MIN = 2_000
HOUSEMATES_MIN = 0.002
HOUSEMATES_DEFAULT = 1.2
REGISTERED_SHARE = 0.8
"""Of the brothers and sisters of a registered child, how many are registered too (LINKAGE.md's trial)."""
# Nine in ten born within so many years: a registry of children.
CHILDHOOD_YEARS = 26

# What the default weights' probability of the likeliest candidate means: (as counted, as meant), the last point
# leaving the threshold of a link where it is. In a registry of a million: seed 8, 300,000 notes as they come.
CALIBRATION = (
    (0.1, 0.1),
    (0.245, 0.157),
    (0.343, 0.228),
    (0.425, 0.276),
    (0.495, 0.317),
    (0.575, 0.364),
    (0.651, 0.535),
    (0.727, 0.679),
    (0.776, 0.729),
    (0.828, 0.837),
    (0.878, 0.895),
    (0.928, 0.945),
    (0.9957, 0.9957),
)
# In one of 100,000: seeds 101, 107 and 108, 380,000 notes (`tests.linkage.fit`).
CALIBRATION_SMALL = (
    (0.1, 0.1),
    (0.145, 0.133),
    (0.249, 0.208),
    (0.349, 0.315),
    (0.429, 0.496),
    (0.575, 0.496),
    (0.625, 0.542),
    (0.675, 0.647),
    (0.724, 0.685),
    (0.775, 0.71),
    (0.827, 0.848),
    (0.876, 0.881),
    (0.929, 0.94),
    (0.9957, 0.9957),
)
SMALL, LARGE = 100_000, 1_000_000
"""Sizes of the registries of the two; between them it goes by the logarithm, and beyond them no further."""


class ModelError(ValueError):
    """A model that cannot be used: says which comparison or level is wrong and what is expected."""


class ComparisonLevel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One outcome of a comparison; `household_probability` is m for two children of one home."""

    label_for_charts: str
    name: str
    outcome: str
    m_probability: float | None = None
    u_probability: float | None = None
    household_probability: float | None = None
    is_null_level: bool = False
    tf_adjustment_column: str | None = None
    tf_minimum_u_value: float = 0.0


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The levels of one field, best first; level 0 is the null level."""

    output_column_name: str
    comparison_description: str
    comparison_levels: tuple[ComparisonLevel, ...]


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a decision depends on, except the records.

    `known_share`: how often the child in a note is on the registry at all (of the notes in LINKAGE.md's trial a
    fifth is about children nobody knows, and 15 % about unregistered brothers and sisters). `housemates`: other
    children in a child's home, on average. A link needs `link_probability` and a lead of `link_margin_bits` over
    the second candidate; a review needs `review_probability` that it is a known child at all, whichever.
    `name_kinship_bits`: given and family name come from one people, so that agreeing on both says less than
    the two weights together; `rare_name_kinship_bits` is for a rare family name, and never more.
    `calibration`: what the likeliest candidate's probability is taken to mean in a registry of a million, as points
    (as counted, as meant) with straight lines between them; `calibration_small`: the same in one of 100,000 (none:
    no other); see `calibrated`.
    """

    link_type: str = "link_only"
    probability_two_random_records_match: float
    comparisons: tuple[Comparison, ...]
    name: str
    registry_size: int = REGISTRY_SIZE_DEFAULT
    known_share: float = KNOWN_SHARE_DEFAULT
    housemates: float = HOUSEMATES_DEFAULT
    link_probability: float = 0.9957
    link_margin_bits: float = 7.0
    name_kinship_bits: float = 1.5
    rare_name_kinship_bits: float = 1.5
    review_probability: float = 0.104
    calibration: tuple[tuple[float, float], ...] = ()
    calibration_small: tuple[tuple[float, float], ...] = ()
    term_frequencies: TermFrequencies = NO_TERM_FREQUENCIES

    def with_term_frequencies(self, counts: TermFrequencies) -> Model:
        """The same model for a registry of these names and of this size."""
        size = max(counts.children, 1)
        housemates = self.housemates
        if counts.homes >= HOMES_MIN and counts.years > CHILDHOOD_YEARS:
            # Not every brother or sister is on the registry.
            housemates = min((counts.housemates + 0.5) / counts.homes / REGISTERED_SHARE, housemates)
        kinship = self.name_kinship_bits if counts.names_alike is None else counts.names_alike
        rare = kinship if counts.rare_names_alike is None else counts.rare_names_alike
        return msgspec.structs.replace(
            self,
            housemates=housemates,
            term_frequencies=counts,
            registry_size=size,
            name_kinship_bits=kinship,
            rare_name_kinship_bits=rare,
            probability_two_random_records_match=self.known_share / size,
        )

    def calibrated(self, probability: float) -> float:
        """What the probability of the likeliest candidate means. Never decreases.

        The larger the registry, the more of those who fit are namesakes: so it goes by the logarithm of the size.
        """
        meant = _along(self.calibration, probability)
        if not self.calibration_small or self.registry_size >= LARGE:
            return meant
        small = _along(self.calibration_small, probability)
        return small + (meant - small) * max(log(self.registry_size / SMALL) / log(LARGE / SMALL), 0.0)

    def kinship_bits(self, rarity: float) -> float:
        """What is taken off a family name of this rarity where the given name agrees too."""
        return self.rare_name_kinship_bits if rarity >= RARE_FAMILY_BITS else self.name_kinship_bits

    def kinship_taken(self, rarity: float) -> float:
        """The same from the rarity that is left."""
        return self.kinship_bits(rarity + self.rare_name_kinship_bits)

    @property
    def has_households(self) -> bool:
        """Whether a child may have a brother or sister at home: true unless the registry shows otherwise."""
        return self.housemates >= HOUSEMATES_MIN

    @property
    def version(self) -> str:
        """Name and fingerprint of the weights (not of the registry's counts, which change daily)."""
        weights = msgspec.structs.replace(
            self,
            term_frequencies=NO_TERM_FREQUENCIES,
            registry_size=1,
            probability_two_random_records_match=1.0,
            housemates=HOUSEMATES_DEFAULT,
            name_kinship_bits=1.0,
            rare_name_kinship_bits=1.0,
        )
        return f"{self.name}-{hashlib.sha256(msgspec.json.encode(weights)).hexdigest()[:8]}"


def _along(points: Iterable[tuple[float, float]], probability: float) -> float:
    """On the straight lines from (0, 0) through these points to (1, 1)."""
    low = (0.0, 0.0)
    for high in (*points, (1.0, 1.0)):
        if probability < high[0]:
            return low[1] + (probability - low[0]) * (high[1] - low[1]) / (high[0] - low[0])
        low = high
    return probability


def check_model(model: Model) -> None:
    """Raises ModelError unless the model has this version's comparisons and levels, with usable numbers."""
    expected = [c.name for c in COMPARISONS]
    if [c.output_column_name for c in model.comparisons] != expected:
        raise ModelError(f"the comparisons must be, in this order: {', '.join(expected)}")
    for default, comparison in zip(COMPARISONS, model.comparisons, strict=True):
        names = [level.name for level in default.levels]
        if [level.name for level in comparison.comparison_levels] != names:
            raise ModelError(f"the levels of {default.name} must be, in this order: {', '.join(names)}")
        for level in comparison.comparison_levels[1:]:
            for p in (level.m_probability, level.u_probability, level.household_probability):
                if p is None or not 0 < p <= 1:
                    raise ModelError(
                        f"level {level.name} of {default.name} needs probabilities above 0, at most 1"
                    )
    for share in (model.known_share, model.link_probability, model.review_probability):
        if not 0 < share < 1:
            raise ModelError("known_share, link_probability and review_probability lie between 0 and 1")
    for name, calibration in (
        ("calibration", model.calibration),
        ("calibration_small", model.calibration_small),
    ):
        points = [(0.0, 0.0), *calibration, (1.0, 1.0)]
        if any(not (a < c and b <= d) for (a, b), (c, d) in pairwise(points)):
            raise ModelError(f"{name} rises from 0 to 1, in both numbers of its points")
    if model.registry_size < 1 or model.housemates <= 0:
        raise ModelError("registry_size is at least 1 and housemates is above 0")


def default_model() -> Model:
    """The model with weights set by hand, for a registry of unknown names."""
    comparisons = []
    for default in COMPARISONS:
        levels = []
        for level in default.levels:
            null = level.outcome == MISSING
            levels.append(
                ComparisonLevel(
                    label_for_charts=level.label,
                    name=level.name,
                    outcome=level.outcome,
                    m_probability=None if null else level.m,
                    u_probability=None if null else level.u,
                    household_probability=None if null else level.household,
                    is_null_level=null,
                    tf_adjustment_column=default.name if level.term_frequency else None,
                    tf_minimum_u_value=TERM_FREQUENCY_MIN if level.term_frequency else 0.0,
                )
            )
        comparisons.append(
            Comparison(
                output_column_name=default.name,
                comparison_description=default.label,
                comparison_levels=tuple(levels),
            )
        )
    return Model(
        probability_two_random_records_match=KNOWN_SHARE_DEFAULT / REGISTRY_SIZE_DEFAULT,
        comparisons=tuple(comparisons),
        calibration=CALIBRATION,
        calibration_small=CALIBRATION_SMALL,
        name="default-1",
    )
