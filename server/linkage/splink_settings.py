"""A model as Splink's settings JSON, and back: the file that `train` writes and `link --model` reads.

Splink 5 refuses a key it does not know, at every depth. What it has no word for (the household class, the
shares and thresholds of a decision) therefore stands in `linker_uid`, a text that Splink carries along, saves
again and never interprets. A level is recognised by its condition, `earlysign_<comparison>(...) = '<level>'`.
The counts of names are left out: they are personal where a name is rare, and every use counts its registry.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from server.linkage.levels import COMPARISONS, ComparisonDefault
from server.linkage.model import (
    NO_TERM_FREQUENCIES,
    Comparison,
    ComparisonLevel,
    Model,
    ModelError,
    check_model,
    default_model,
)
from server.linkage.splink_table import FIELDS

CARRIED: Final = "earlysign "
"""What `linker_uid` begins with when it carries what Splink has no word for."""

# Two rows under one blocking key of ours; over-full keys are left out of `keys` when the table is made.
BLOCKING: Final = {"blocking_rule": "l.keys = r.keys", "arrays_to_explode": ["keys"]}
NEAR: Final = "earlysign_near"
# The same, but for pairs that are out of the question: our first look at a pair costs a twentieth of Splink's.
BLOCKING_NEAR: Final = BLOCKING | {"blocking_rule": f"l.keys = r.keys AND {NEAR}(l.record, r.record)"}

_SPLINKS_OWN = ("link_type", "probability_two_random_records_match", "comparisons", "term_frequencies")
_SETTINGS = tuple(f.name for f in msgspec.structs.fields(Model) if f.name not in _SPLINKS_OWN)
_CONDITION = re.compile(r"= '([a-z0-9_]{1,64})'\s*$")


class _Level(msgspec.Struct, kw_only=True):
    sql_condition: str
    m_probability: float | None = None
    u_probability: float | None = None


class _Comparison(msgspec.Struct, kw_only=True):
    output_column_name: str
    comparison_levels: list[_Level]


class _Settings(msgspec.Struct, kw_only=True):
    link_type: str
    probability_two_random_records_match: float
    comparisons: list[_Comparison]
    linker_uid: str | None = None


def function_name(comparison: str) -> str:
    """The SQL function that gives the level of two records: `(record_l, record_r) -> text`."""
    return f"earlysign_{comparison}"


def splink_settings(model: Model, *, link_type: str | None = None, rarity: bool = True) -> dict[str, Any]:
    """The settings for a Splink `Linker` over rows of `splink_table.row`. Without `rarity`, no term
    frequencies: training needs none, and sums up its pairs by level."""
    return {
        "link_type": link_type or model.link_type,
        "unique_id_column_name": "unique_id",
        "probability_two_random_records_match": model.probability_two_random_records_match,
        "retain_matching_columns": False,
        "blocking_rules_to_generate_predictions": [dict(BLOCKING)],
        "comparisons": [
            {
                "output_column_name": comparison.output_column_name,
                "comparison_description": comparison.comparison_description,
                "comparison_levels": [
                    _splink_level(comparison.output_column_name, level, rarity)
                    for level in comparison.comparison_levels
                ],
            }
            for comparison in model.comparisons
        ],
        "linker_uid": CARRIED + msgspec.json.encode(_carried(model)).decode(),
    }


def _splink_level(comparison: str, level: ComparisonLevel, rarity: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"label_for_charts": level.label_for_charts}
    same = f"{function_name(comparison)}(record_l, record_r) = '{level.name}'"
    if level.is_null_level:
        # Naming the column tells Splink which comparisons a training pass blocks on and cannot estimate.
        empty = f"{comparison}_l IS NULL OR {comparison}_r IS NULL OR " if comparison in FIELDS else ""
        return told | {"sql_condition": empty + same, "is_null_level": True}
    told |= {
        "sql_condition": same,
        "m_probability": level.m_probability,
        "u_probability": level.u_probability,
    }
    if rarity and level.tf_adjustment_column in FIELDS:
        # Splink looks for an exact-match condition in SQL, which ours are not: the level's own u is meant.
        told |= {
            "tf_adjustment_column": level.tf_adjustment_column,
            "tf_minimum_u_value": level.tf_minimum_u_value,
            "disable_tf_exact_match_detection": True,
        }
    return told


def _carried(model: Model) -> dict[str, Any]:
    household = {
        comparison.output_column_name: {
            level.name: level.household_probability
            for level in comparison.comparison_levels
            if not level.is_null_level
        }
        for comparison in model.comparisons
    }
    return {name: getattr(model, name) for name in _SETTINGS} | {"household_probabilities": household}


def model_to_json(model: Model) -> bytes:
    """The model as Splink's settings JSON, indented, for a file a person may read."""
    return msgspec.json.format(msgspec.json.encode(splink_settings(model)), indent=2)


def model_from_json(text: bytes | str) -> Model:
    """The model in a file that `train` wrote, or that Splink saved after training with our comparisons.

    A probability that Splink could not estimate is left as it is by default; so is what a file without our
    `linker_uid` does not carry. Raises ModelError if it is not one this version can use.
    """
    try:
        settings = msgspec.json.decode(text, type=_Settings)
        carried = _read_carried(settings.linker_uid)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"not a model: {error}") from None
    model = default_model()
    names = [comparison.output_column_name for comparison in settings.comparisons]
    expected = [comparison.name for comparison in COMPARISONS]
    if names != expected:
        raise ModelError(f"the comparisons must be, in this order: {', '.join(expected)}")
    household = carried.pop("household_probabilities", {})
    comparisons = tuple(
        _read_comparison(kind, base, given, household.get(kind.name, {}))
        for kind, base, given in zip(COMPARISONS, model.comparisons, settings.comparisons, strict=True)
    )
    model = _with(
        model,
        carried
        | {
            "comparisons": comparisons,
            "link_type": settings.link_type,
            "probability_two_random_records_match": settings.probability_two_random_records_match,
            "term_frequencies": NO_TERM_FREQUENCIES,
        },
    )
    check_model(model)
    return model


def _read_carried(uid: str | None) -> dict[str, Any]:
    if uid is None or not uid.startswith(CARRIED):
        return {}
    carried = msgspec.json.decode(uid[len(CARRIED) :], type=dict[str, Any])
    household = carried.get("household_probabilities", {})
    carried["household_probabilities"] = msgspec.convert(household, dict[str, dict[str, float]])
    return carried


def _with(model: Model, values: dict[str, Any]) -> Model:
    unknown = values.keys() - {f.name for f in msgspec.structs.fields(Model)}
    if unknown:
        raise ModelError(
            "linker_uid carries a setting that this version does not know: written by a newer one?"
        )
    try:
        return msgspec.convert(msgspec.structs.asdict(model) | values, Model, from_attributes=True)
    except msgspec.ValidationError as error:
        raise ModelError(f"not a model: {error}") from None


def _read_comparison(
    kind: ComparisonDefault, base: Comparison, given: _Comparison, household: dict[str, float]
) -> Comparison:
    names = [_level_name(kind.name, level) for level in given.comparison_levels]
    expected = [level.name for level in base.comparison_levels]
    if names != expected:
        raise ModelError(f"the levels of {kind.name} must be, in this order: {', '.join(expected)}")
    levels = []
    for own, read in zip(base.comparison_levels, given.comparison_levels, strict=True):
        if not own.is_null_level:
            own = msgspec.structs.replace(
                own,
                m_probability=own.m_probability if read.m_probability is None else read.m_probability,
                u_probability=own.u_probability if read.u_probability is None else read.u_probability,
                household_probability=household.get(own.name, own.household_probability),
            )
        levels.append(own)
    return msgspec.structs.replace(base, comparison_levels=tuple(levels))


def _level_name(comparison: str, level: _Level) -> str:
    found = _CONDITION.search(level.sql_condition)
    return found[1] if found and f"{function_name(comparison)}(" in level.sql_condition else ""
