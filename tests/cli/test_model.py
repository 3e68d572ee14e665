"""`earlysign model`: trained weights come into force in the server, and what was decided before stays."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from server.linkage.model import Model, default_model
from server.linkage.splink_settings import model_to_json
from server.records import in_force, links
from server.records.in_force import Kind
from server.storage import Store, open_store
from tests.cli.kit import data_option, run
from tests.road import AMARA, REGISTRY, Road

OURS = msgspec.structs.replace(default_model(), name="ours", link_probability=0.999_999_9)
"""Weights that link hardly anything."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    assert run("migrate", *data_option(folder)).code == 0
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.json"
    path.write_bytes(model_to_json(OURS))
    return path


def test_a_trained_model_comes_into_force_is_shown_and_can_be_taken_back(data: Path, file: Path) -> None:
    first = run("model", "show", *data_option(data)).out
    assert f"In force: {default_model().version}, the weights that ship" in first
    assert "given_name" in first
    used = run("model", "use", str(file), *data_option(data))
    assert used.code == 0, used.err
    assert OURS.version in used.out and default_model().version in used.out
    assert f"In force: {OURS.version}" in run("model", "show", *data_option(data)).out
    back = run("model", "reset", *data_option(data))
    assert f"In force: {default_model().version}, where it was {OURS.version}." in back.out
    history = run("model", "show", *data_option(data)).out.splitlines()
    assert history[1].count("the weights that ship") == 1 and OURS.version in history[2]


def test_a_file_that_is_none_changes_nothing(data: Path, file: Path) -> None:
    file.write_text('{"comparisons": []}', encoding="utf-8")
    wrong = run("model", "use", str(file), *data_option(data))
    assert wrong.code == 1 and "model.json" in wrong.err and "Traceback" not in wrong.err
    assert run("model", "use", str(file.with_name("nowhere.json")), *data_option(data)).code != 0
    assert "In force: default-1" in run("model", "show", *data_option(data)).out


def use(road: Road, model: Model | None, text: str | None = None) -> None:
    written = text or (model_to_json(model).decode() if model else None)
    road.store.write_now(
        lambda tx: in_force.put(tx, REGISTRY, Kind.MODEL, "a version", written, now=road.now)
    )


def deciding(road: Road, note_id: str) -> tuple[str, str]:
    """(what the last decision on a note was, the model that made it)."""
    subject_id = road.subject_of(note_id)
    event = road.store.read_now(lambda tx: links.history(tx, subject_id))[-1]
    assert event.evidence is not None
    return event.action.value, event.evidence.model_version


def test_the_next_note_is_decided_by_it_and_those_before_stay(store: Store) -> None:
    road = Road(store)
    road.child(AMARA)
    officer = road.officer()
    before = officer.writes(AMARA)
    use(road, OURS)
    after = officer.writes(AMARA)
    assert deciding(road, before) == ("link", default_model().version)
    assert deciding(road, after) == ("review", OURS.version)
    use(road, None)
    assert deciding(road, officer.writes(AMARA)) == ("link", default_model().version)


def test_weights_of_another_release_are_left_alone_and_no_note_is_lost(store: Store) -> None:
    road = Road(store)
    road.child(AMARA)
    use(road, None, text='{"comparisons": []}')
    assert deciding(road, road.officer().writes(AMARA)) == ("link", default_model().version)


def test_commands_say_so(data: Path) -> None:
    store = open_store(data / "earlysign.db")
    road = Road(store)
    note_id = road.officer().writes(AMARA)
    use(road, None, text='{"comparisons": []}')
    store.close_now()
    for arguments in (("model", "show"), ("explain", note_id)):
        said = run(*arguments, *data_option(data))
        assert said.code == 1 and "of another release" in said.err and "model reset" in said.err
