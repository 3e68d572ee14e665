"""`earlysign explain`: the waterfall in a terminal and in a pipe, in the words that the doors give."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.app import make_store
from server.cli import common
from server.cli.explaining import BAR_CHARACTERS
from server.linkage.explain import explain, why
from server.linkage.words import signed
from server.records import links
from server.settings import Settings
from tests.cli.kit import run
from tests.road import AMARA, AMARA_VAGUE, Road, somebody


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def note_id(data: Path) -> str:
    """A note that linkage left to a person."""
    store = make_store(Settings(data=data))
    store.migrate()
    road = Road(store)
    road.child(AMARA)
    written = road.officer().writes(AMARA_VAGUE)
    store.close_now()
    return written


def test_the_beginning_of_an_id_does_as_phones_show_it_and_a_doubtful_one_is_said(
    data: Path, note_id: str
) -> None:
    whole = run("explain", note_id, "--data", str(data))
    assert run("explain", f" {note_id[:8].upper()}", "--data", str(data)).out == whole.out
    store = make_store(Settings(data=data))
    twin = store.write_now(
        lambda tx: tx.execute(
            "UPDATE note SET note_id = :other WHERE note_id = :id",
            {"id": note_id, "other": note_id[:8] + "-a"},
        )
    )
    assert twin == 1
    road = Road(store)
    road.officer("other").writes(AMARA, note_id=note_id[:8] + "-b")
    store.close_now()
    doubtful = run("explain", note_id[:8], "--data", str(data))
    assert doubtful.code == 2 and "More than one note" in doubtful.err
    for nobody in ("ffffffff", "", "%", "a_"):
        assert run("explain", nobody, "--data", str(data)).code != 0


def test_in_a_pipe_each_step_is_a_line_and_the_reason_comes_first(data: Path, note_id: str) -> None:
    ran = run("explain", note_id, "--data", str(data))
    assert ran.code == 0, ran.err
    store = make_store(Settings(data=data))
    road = Road(store)
    model = road.world.decider.model
    [event] = store.read_now(lambda tx: links.history(tx, road.subject_of(note_id)))
    store.close_now()
    decision = event.evidence
    assert decision is not None
    lines = ran.out.splitlines()
    assert lines[0].startswith("Subject 1: review (child ") and "by system, 2026-01-01" in lines[0]
    assert lines[1] == why(decision, model)
    for step in explain(decision.candidates[0], model, start=decision.start):
        if step.outcome == "missing":
            assert step.title in lines[-2]
        else:
            assert any(
                step.title in line and step.label in line and signed(step.weight) in line for line in lines
            )
    assert lines[-2].startswith("  Not compared, since one side does not say: Family name, ")
    assert lines[-1].startswith("Compared with 1 known child by model default-1-")
    assert "+++" not in ran.out


def test_it_shows_no_content_of_any_field(data: Path, note_id: str) -> None:
    said = run("explain", note_id, "--data", str(data)).out
    for word in ("Amara", "Okonkwo", "Stockwell", "2012", "Coldharbour"):
        assert word not in said


def test_in_a_terminal_each_bar_stands_at_its_place(
    data: Path, note_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common.out, "_force_terminal", True)
    monkeypatch.setattr(common.out, "_width", 140)
    said = run("explain", note_id, "--data", str(data)).out
    assert "So far" in said and "Before comparing" in said and "Taken together" in said
    marks = [line for line in said.splitlines() if "+++" in line or "===" in line or "---" in line]
    assert len(marks) >= 3
    assert all(max(map(len, line.split())) <= BAR_CHARACTERS + 20 for line in marks)


def test_what_a_person_decided_is_told_with_their_words(data: Path, note_id: str) -> None:
    from server import answering

    store = make_store(Settings(data=data))
    road = Road(store)
    review = road.review_of(note_id)
    store.write_now(
        lambda tx: answering.answer_new(
            tx,
            road.worlds.current(tx),
            somebody("rivera"),
            review.review_id,
            now=road.now,
            reason="I know him",
        )
    )
    store.close_now()
    said = run("explain", note_id, "--data", str(data)).out
    assert "Subject 1: new (child " in said and "by rivera" in said and "I know him" in said
