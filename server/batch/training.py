"""`earlysign train`: Splink estimates what a registry can tell, without labels, with our levels.

u comes from pairs drawn at random. m comes from expectation maximisation over passes that each block on
different fields, so that every comparison is estimated where it is not what brought the pair together. Where
the given name is what is estimated, the other class is not strangers but twins, so that pass reckons with the
household class in place of u. What of it is believed is decided in `server/linkage/train.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from server.batch.engine import DUCKDB, BatchError, Engine, opened
from server.linkage.model import Model, count_terms, default_model
from server.linkage.splink_settings import splink_settings
from server.linkage.splink_table import FIELDS
from server.linkage.standardise import Record
from server.linkage.train import Counts, Household, Learned, Pass, household_counts, learn

RANDOM_PAIRS_MAX = 400_000
PASS_PAIRS_MAX = 300_000
CHILDREN_MIN = 500
SHARE_AT_START = 0.3  # of a pass's pairs that are matches, before the first step of EM
# Splink stops with an error where a probability falls below 1e-300, or where every pair of a pass is as good as
# certain, so that its odds are infinite: fewer steps are then enough.
ITERATIONS = (25, 8, 3)
INFINITE_ODDS = "inf as float8"
"""What stands in a statement of Splink's then."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, and the steps done and to do."""


class Rule(NamedTuple):
    """A training pass: the fields it blocks on, and who its pairs are if not one child."""

    name: str
    fields: tuple[str, ...]
    household: bool = False


PASSES: Final = (
    Rule("given names and date of birth", ("given_names", "date_of_birth")),
    Rule("given names and address", ("given_names", "address")),
    Rule("given names and phone", ("given_names", "phone")),
    Rule("family name and date of birth", ("family_name", "date_of_birth"), household=True),
    Rule("UPN", ("upn",)),
    Rule("NHS number", ("nhs_number",)),
)


def train(
    known: Sequence[Record],
    notes: Sequence[Record] | None = None,
    *,
    seed: int,
    progress: Progress,
    model: Model | None = None,
    random_pairs: int = RANDOM_PAIRS_MAX,
) -> Learned:
    """Learn from a registry, and from notes about its children where there are some.

    Without notes, m is learned from children who stand twice on the registry. `random_pairs`: how many are
    drawn for u. Raises BatchError.
    """
    if len(known) < CHILDREN_MIN:
        raise BatchError(
            f"{len(known):,} known children are too few to learn from.",
            f"Use a registry of {CHILDREN_MIN:,} or more, or the model without training.",
        )
    counts = count_terms(known)
    base = (model or default_model()).with_term_frequencies(counts)
    steps = len(PASSES) + 3
    progress("pairs of one address", 0, steps)
    household = household_counts(known, base)
    with opened(DUCKDB, base) as engine:
        progress("tables", 1, steps)
        made = _Tables(engine, known, notes)
        progress("pairs at random", 2, steps)
        random, drawn = made.random_pairs(base, random_pairs, seed)
        passes = []
        for at, rule in enumerate(PASSES):
            progress(f"pairs by {rule.name}", 3 + at, steps)
            if (
                learned := made.run_pass(rule, _against(base, household) if rule.household else base)
            ) is not None:
                passes.append(learned)
        progress("done", steps, steps)
        possible = made.possible_pairs
    return learn(
        base, random=random, random_pairs=drawn, possible_pairs=possible, size=len(known), passes=passes,
        household=household,
    )  # fmt: skip


def _against(model: Model, household: Household) -> Model:
    """The model with the household class, as this registry shows it, in place of strangers."""
    none: Counts = {}
    learned = learn(
        model, random=none, random_pairs=1.0, possible_pairs=1.0, size=2, passes=(), household=household
    ).model
    return msgspec.structs.replace(
        learned,
        comparisons=tuple(
            msgspec.structs.replace(
                comparison,
                comparison_levels=tuple(
                    msgspec.structs.replace(level, u_probability=level.household_probability)
                    for level in comparison.comparison_levels
                ),
            )
            for comparison in learned.comparisons
        ),
    )


class _Tables:
    """The registry, and the notes if any, as Splink's tables, and what is estimated over them."""

    def __init__(self, engine: Engine, known: Sequence[Record], notes: Sequence[Record] | None) -> None:
        self._engine = engine
        sides = [known] if notes is None else [notes, known]
        self._tables = [engine.table(f"side_{at}", side) for at, side in enumerate(sides)]
        self._link_type = "dedupe_only" if notes is None else "link_only"
        self._told = [self._shares(table) for table in self._tables]
        if notes is None:
            self.possible_pairs = max(len(known) * (len(known) - 1) / 2, 1.0)
        else:
            self.possible_pairs = max(float(len(known)) * len(notes), 1.0)

    def _linker(self, model: Model, iterations: int = 1) -> Any:
        from splink import Linker, SettingsCreator

        settings = splink_settings(model, link_type=self._link_type, rarity=False)
        settings |= {"probability_two_random_records_match": SHARE_AT_START, "max_iterations": iterations}
        tables = self._tables if len(self._tables) > 1 else self._tables[0]
        return Linker(tables, SettingsCreator.from_path_or_dict(settings), log_level=None)

    def random_pairs(self, model: Model, most: int, seed: int) -> tuple[Counts, float]:
        """Expected counts of levels among pairs drawn at random, and how many pairs there were."""
        linker = self._linker(model)
        linker.training.estimate_u_using_random_sampling(
            max_pairs=most, seed=seed, min_count_per_level=None, num_chunks=1
        )
        drawn = min(self.possible_pairs, most)
        return self._counts(linker._settings_obj.comparisons, model, "u_probability", drawn), drawn

    def run_pass(self, rule: Rule, model: Model) -> Pass | None:
        """Expectation maximisation among the pairs that agree on the rule's fields; None where there are none."""
        pairs = self._pairs(rule)
        session = (
            next(filter(None, (self._session(rule, model, n) for n in ITERATIONS)), None) if pairs else None
        )
        if session is None:
            return None
        kept = min(pairs, PASS_PAIRS_MAX)
        core = session.core_model_settings
        matches = core.probability_two_random_records_match * kept
        counts = self._counts(core.comparisons, model, "m_probability", matches)
        return Pass(name=rule.name, pairs=kept, matches=matches, counts=counts)

    def _session(self, rule: Rule, model: Model, iterations: int) -> Any:
        from splink import block_on
        from splink.internals.exceptions import SplinkException

        training = self._linker(model, iterations).training
        try:
            return training.estimate_parameters_using_expectation_maximisation(
                block_on(*rule.fields), estimate_without_term_frequencies=True, max_pairs=PASS_PAIRS_MAX
            )
        except ValueError:
            return None
        except SplinkException as error:
            if INFINITE_ODDS not in str(error):
                raise
            return None

    def _pairs(self, rule: Rule) -> int:
        on = " AND ".join(f"l.{field} = r.{field}" for field in rule.fields)
        left, right = self._tables[0].physical_name, self._tables[-1].physical_name
        own = "" if left != right else " AND l.unique_id < r.unique_id"
        sql = f"SELECT count(*) AS pairs FROM {left} AS l JOIN {right} AS r ON {on}{own}"
        return int(self._engine.api.query_sql(sql).as_record_list()[0]["pairs"])

    def _shares(self, table: Any) -> dict[str, float]:
        """Of each field, the share of rows that know it."""
        known = ", ".join(f"count({name}) * 1.0 / count(*) AS {name}" for name in FIELDS)
        return dict(
            self._engine.api.query_sql(f"SELECT {known} FROM {table.physical_name}").as_record_list()[0]
        )

    def _counts(self, comparisons: Sequence[Any], model: Model, column: str, pairs: float) -> Counts:
        """Splink's estimates as counts: of so many pairs, as many as know the field on both sides."""
        counts: Counts = {}
        by_name = {comparison.output_column_name: comparison for comparison in comparisons}
        for kind in model.comparisons:
            estimated = by_name.get(kind.output_column_name)
            if estimated is None:
                continue
            seen = pairs
            for told in (self._told[0], self._told[-1]):
                seen *= told.get(kind.output_column_name, 1.0)
            counts[kind.output_column_name] = {
                own.name: seen * getattr(level, column)
                for own, level in zip(kind.comparison_levels, estimated.comparison_levels, strict=True)
                if not own.is_null_level and _estimated(level, column)
            }
        return counts


def _estimated(level: Any, column: str) -> bool:
    """Whether Splink saw this level: it marks those it did not see by a text in the number's place."""
    return isinstance(getattr(level, f"_{column}"), float) and getattr(level, column) > 0
