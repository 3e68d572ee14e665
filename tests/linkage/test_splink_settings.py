from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from server.linkage.levels import COMPARISONS
from server.linkage.model import Model, ModelError, count_terms, default_model
from server.linkage.splink_settings import CARRIED, model_from_json, model_to_json, splink_settings
from server.linkage.splink_table import FIELDS
from tests.linkage.builders import record


def changed_model() -> Model:
    """A model in which nothing that a file carries is as by default."""
    model = default_model()
    comparisons = tuple(
        msgspec.structs.replace(
            comparison,
            comparison_levels=tuple(
                level
                if level.is_null_level
                else msgspec.structs.replace(
                    level,
                    m_probability=(level.m_probability or 0) / 2,
                    u_probability=(level.u_probability or 0) / 3,
                    household_probability=(level.household_probability or 0) / 5,
                )
                for level in comparison.comparison_levels
            ),
        )
        for comparison in model.comparisons
    )
    return msgspec.structs.replace(
        model, comparisons=comparisons, name="changed", known_share=0.6, housemates=0.7, link_probability=0.99,
        link_margin_bits=5.0, name_kinship_bits=1.0, review_probability=0.3, registry_size=12_345,
        probability_two_random_records_match=0.001,
    )  # fmt: skip


@pytest.mark.parametrize("model", [default_model(), changed_model()])
def test_a_model_written_and_read_is_the_same_model(model: Model) -> None:
    read = model_from_json(model_to_json(model))
    assert read == model
    assert read.version == model.version


def test_the_file_holds_no_names_of_children() -> None:
    model = default_model().with_term_frequencies(count_terms([record(given_names="Zebedee")]))
    assert b"zebedee" in msgspec.json.encode(model)
    assert b"zebedee" not in model_to_json(model)


def test_the_file_holds_nothing_that_splink_does_not_know() -> None:
    settings = json.loads(model_to_json(default_model()))
    assert settings.keys() == {
        "link_type", "unique_id_column_name", "probability_two_random_records_match", "retain_matching_columns",
        "blocking_rules_to_generate_predictions", "comparisons", "linker_uid",
    }  # fmt: skip
    for comparison in settings["comparisons"]:
        null, *levels = comparison["comparison_levels"]
        assert null["is_null_level"] and "m_probability" not in null
        for level in levels:
            assert level.keys() <= {
                "sql_condition", "label_for_charts", "m_probability", "u_probability", "tf_adjustment_column",
                "tf_minimum_u_value", "disable_tf_exact_match_detection",
            }  # fmt: skip


def test_every_comparison_names_its_column_so_that_a_pass_on_it_does_not_estimate_it() -> None:
    assert set(FIELDS) == {comparison.name for comparison in COMPARISONS}
    for comparison in splink_settings(default_model())["comparisons"]:
        assert (
            f"{comparison['output_column_name']}_l IS NULL"
            in comparison["comparison_levels"][0]["sql_condition"]
        )


def test_a_file_that_splink_trained_elsewhere_keeps_our_defaults_for_what_it_does_not_say() -> None:
    settings = json.loads(model_to_json(changed_model()))
    settings["linker_uid"] = "a1b2c3d4"
    settings["training_note"] = "a later Splink may write more"
    for comparison in settings["comparisons"]:
        comparison["comparison_levels"][1].pop("m_probability")
        comparison["comparison_levels"][2]["u_probability"] = 0.25
    read, default = model_from_json(json.dumps(settings)), default_model()
    assert (read.name, read.known_share, read.link_probability) == (
        default.name, default.known_share, default.link_probability,
    )  # fmt: skip
    for one, before in zip(read.comparisons, default.comparisons, strict=True):
        assert one.comparison_levels[1].m_probability == before.comparison_levels[1].m_probability
        assert (
            one.comparison_levels[1].household_probability
            == before.comparison_levels[1].household_probability
        )
        assert one.comparison_levels[2].u_probability == 0.25


def _broken(change: Any) -> bytes:
    settings = json.loads(model_to_json(default_model()))
    change(settings)
    return json.dumps(settings).encode()


def _carry(**values: Any) -> Any:
    return lambda s: s.update(linker_uid=CARRIED + json.dumps(values))


def _levels(settings: Any) -> Any:
    return settings["comparisons"][0]["comparison_levels"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s["comparisons"].pop(), "in this order: given_names"),
        (lambda s: s["comparisons"].reverse(), "in this order: given_names"),
        (lambda s: _levels(s).pop(), "the levels of given_names must be"),
        (lambda s: _levels(s)[1].update(m_probability=0), "level exact of given_names"),
        (lambda s: _levels(s)[1].update(u_probability=1.5), "level exact of given_names"),
        (lambda s: _levels(s)[1].update(sql_condition="given_names_l = given_names_r"), "the levels of given_names"),
        (lambda s: _levels(s)[1].update(m_probability="often"), "not a model"),
        (lambda s: s.pop("comparisons"), "not a model"),
        (lambda s: s.update(linker_uid=CARRIED + "{"), "not a model"),
        (_carry(link_probability=1.5), "between 0 and 1"),
        (_carry(registry_size=0), "registry_size is at least 1"),
        (_carry(known_share="most"), "not a model"),
        (_carry(a_setting_of_tomorrow=1), "a setting that this version does not know"),
        (_carry(household_probabilities={"given_names": {"exact": 0}}), "level exact of given_names"),
        (_carry(household_probabilities=[1]), "not a model"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_used_is_refused_in_one_clear_line(change: Any, said: str) -> None:
    with pytest.raises(ModelError) as refused:
        model_from_json(_broken(change))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b'{"name": 3}', b'{"comparisons": 1}'])
def test_a_file_that_is_no_model_is_refused(text: bytes) -> None:
    with pytest.raises(ModelError):
        model_from_json(text)
