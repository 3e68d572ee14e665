"""The model: comparisons, levels and their probabilities, in Splink's words.

Written by hand (`default_model`) or by training (`server/batch/training.py`). What Splink has no word for
stands beside its words: `outcome`, `household_probability`, shares and thresholds. `splink_settings` writes and
reads the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from server.linkage.calibration import Calibration
from server.linkage.counts import NO_TERM_FREQUENCIES as NO_TERM_FREQUENCIES
from server.linkage.counts import TermFrequencies as TermFrequencies
from server.linkage.counts import count_terms as count_terms
from server.linkage.levels import COMPARISONS, MISSING

REGISTRY_SIZE_DEFAULT = 100_000
KNOWN_SHARE_DEFAULT = 0.65
# A name borne by fewer is treated as if borne by this share: of a name that nobody else bears a registry does not tell
# how rare it is.
TERM_FREQUENCY_MIN = 0.00001
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

CALIBRATION_BITS_MAX = 20
# How far below the probability of a link something is said that did not reach it.
UNDER_LINK = 0.0001
# Cities of 20,000 to a million registered children, see README.md (`tests.linkage.fit`).
CALIBRATION = Calibration(
    fits=0.23,
    fits_no_family=1.0,
    fits_no_given=2.9,
    fits_bare=0.6,
    differs=-2.3,
    differs_more=-1.4,
    differs_doubling=0.26,
)


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
    `calibration`: what a candidate's probability is taken to mean, which decides nothing.
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
    calibration: Calibration = Calibration()
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

    def bits(self, levels: Sequence[int]) -> float:
        """By how much the odds of a candidate who reaches these levels are put right."""
        return self.calibration.bits(levels, self.registry_size)

    @property
    def unlinked_most(self) -> float:
        """The most that is said of a candidate whose probability, as counted, does not reach that of a link."""
        return self.link_probability - UNDER_LINK

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
    if not all(abs(bits) <= CALIBRATION_BITS_MAX for bits in msgspec.structs.astuple(model.calibration)):
        raise ModelError(
            f"the bits of calibration lie between -{CALIBRATION_BITS_MAX} and {CALIBRATION_BITS_MAX}"
        )
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
        name="default-1",
    )
