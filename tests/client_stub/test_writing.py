"""From what is typed to a note, and what the officer is told in return."""

from __future__ import annotations

import datetime
import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from client_stub import telling, writing
from client_stub.store import Item
from client_stub.writing import WritingProblem, advice, build, category, instant, read
from sync.envelope import Code
from sync.holdings import Held
from sync.note import Amendment, Note
from sync.outbox import State, SyncState
from sync.vocabulary import CATEGORY_LABELS, Category, beside_newer
from tests.client_stub.fake_server import FakeServer
from tests.client_stub.kit import WHEN, a_note, new_phone

NOW = datetime.datetime(2027, 1, 15, 9, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("09:10", "2027-01-15T09:10:00+01:00"),
        ("14:05", "2027-01-14T14:05:00+01:00"),
        ("2026-12-31 23:59", "2026-12-31T23:59:00+01:00"),
        ("2027-01-15T08:00:00Z", "2027-01-15T08:00:00+00:00"),
    ],
)
def test_times_are_read_as_an_officer_writes_them(typed: str, expected: str) -> None:
    assert instant(typed, NOW).isoformat() == expected


@pytest.mark.parametrize("typed", ["", "yesterday", "25:00", "2027-13-01"])
def test_other_times_are_refused_with_an_example(typed: str) -> None:
    with pytest.raises(WritingProblem, match="14:05"):
        instant(typed, NOW)


def test_every_category_is_found_by_code_and_by_label() -> None:
    for found, label in CATEGORY_LABELS.items():
        assert category(found.value) == category(label) == category(label.upper()) == found
    assert category("county") == Category.COUNTY_LINES
    for vague in ("", "s", "nonsense"):
        with pytest.raises(WritingProblem, match="county_lines"):
            category(vague)


def test_the_words_that_the_server_sent_are_offered() -> None:
    """One that it has retired is not; one that this release has no name for is written as any other."""
    sent = {"neglect": "Neglected", "other": "Something else", "cuckooing": "Cuckooing"}
    held = {"vocabulary": {("word_list", "categories"): Held(2, {"labels": sent})}}
    words = writing.words_sent(held)
    assert category("something", words) == Category.OTHER and category("neglected", words) == Category.NEGLECT
    assert category("cuckoo", words) == "cuckooing"
    with pytest.raises(WritingProblem, match=r"neglect, other, cuckooing\.$") as found:
        category("county_lines", words)
    assert "county" not in str(found.value)
    note = {"observed_at": NOW.isoformat(), "recorded_at": NOW.isoformat(), "subjects": [{}]}
    wanted = note | {"category": "cuckooing", "other_categories": ["neglect", "cuckooing"]}
    with beside_newer(words.newer):
        written = build(Note, wanted)
        assert (written.category, written.category.label) == ("cuckooing", "Cuckooing")
        assert read(Note, msgspec.json.encode(written)) == written
        assert written.categories == ("cuckooing", "neglect")
        with pytest.raises(WritingProblem, match="category"):
            build(Note, note | {"category": "of nobody"})
    with pytest.raises(WritingProblem, match="category"):
        build(Note, wanted)
    for nothing in ({}, {"vocabulary": {("word_list", "categories"): Held(1, {"labels": {"x": "X"}})}}):
        assert writing.words_sent(nothing) is writing.OWN_WORDS


def test_a_field_that_is_not_valid_is_named() -> None:
    with pytest.raises(WritingProblem, match="observed_at"):
        build(
            Note, {"observed_at": "x", "recorded_at": NOW.isoformat(), "category": "other", "subjects": [{}]}
        )
    for text in (b"", b"{", b"\xff", b"[]"):
        with pytest.raises(WritingProblem):
            read(Note, text)


def test_phrases_that_blame_the_child_are_pointed_at_once_each_and_never_block() -> None:
    note = a_note("She is STREETWISE and streetwise.", assessment="A lifestyle\nchoice.")
    found = advice(note)
    assert len(found) == 2 and "streetwise" in found[0] and "lifestyle choice" in found[1]
    amendment = Amendment(recorded_at=WHEN, reason="absconder", note=note)
    assert len(advice(amendment)) == 3
    assert advice(a_note("She said that she is afraid to go home.")) == []


def test_the_form_asks_and_takes_empty_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(
        ["Jay", "", "13", "red coat", "Seen at the bus station", "", "y", "xyz", "county", "", "Peckham"]
    )
    monkeypatch.setattr("builtins.input", lambda _prompt="": next(answers))
    monkeypatch.setattr(Console, "input", lambda _self, *_args, **_more: next(answers))
    fields = writing.ask_for_note(Console(file=io.StringIO()), NOW)
    note = build(Note, fields)
    assert note.danger_now and note.category is Category.COUNTY_LINES
    assert note.subjects[0].given_names == "Jay" and note.subjects[0].approximate_age == 13
    assert note.found_at is not None and note.found_at.place == "Peckham"
    assert note.observed_at == NOW


def item(state: State, outcome: str | None = None, code: str | None = None, at: str | None = None) -> Item:
    return Item(
        position=1, epoch="e", seq=1, kind="note.write", entity_id="n", state=state, outcome=outcome, code=code,
        at=at, written_at=1, settled_at=None, line=None, reissued=False, digest="d",
    )  # fmt: skip


def test_all_sent_is_said_in_one_case_only() -> None:
    def state(waiting: int, unconfirmed: int, receipted: int, quarantined: int = 0) -> str:
        return telling.headline(
            SyncState(waiting=waiting, unconfirmed=unconfirmed, receipted=receipted, quarantined=quarantined)
        )

    assert state(0, 0, 3) == "All sent. The server has signed for all 3."
    assert "Nothing has been written" in state(0, 0, 0)
    for waiting, unconfirmed in ((1, 0), (0, 1), (2, 5)):
        said = state(waiting, unconfirmed, 9)
        assert said.startswith("Not all sent") and "All sent." not in said
    assert "1 set aside" in state(0, 0, 3, 1)


def test_where_an_entry_is_follows_its_state() -> None:
    assert telling.sentence_of(item(State.QUEUED)) == "On this device"
    assert "no answer yet" in telling.sentence_of(item(State.SENT))
    assert "not signed for" in telling.sentence_of(item(State.SETTLED, "applied"))
    assert telling.sentence_of(item(State.RECEIPTED, "applied")) == "Received"
    assert "waits for the note" in telling.sentence_of(item(State.RECEIPTED, "parked"))
    doubtful = telling.sentence_of(item(State.RECEIPTED, "applied", "observed_out_of_range"))
    assert doubtful == "Received, but its time cannot be right"
    said = telling.sentence_of(item(State.RECEIPTED, "quarantined", "body_invalid", "$.subjects[0].sex"))
    assert said == "Received, set aside: a field is not valid (subjects[0].sex)"
    assert "a person will look" in telling.sentence_of(item(State.RECEIPTED, "quarantined", "of_the_future"))


def test_every_code_that_can_quarantine_has_words() -> None:
    not_quarantined = {Code.WAITS_FOR_NOTE, Code.STALE_REVISION}
    assert set(telling.REASONS) == set(Code) - not_quarantined


def test_a_summary_is_a_few_words_and_says_danger_first(tmp_path: Path) -> None:
    phone = new_phone(tmp_path / "p", FakeServer())
    phone.write(a_note(danger_now=True))
    phone.write(a_note("x", subjects=a_note().subjects))
    first, second = phone.status().items
    assert telling.summary_of(first) == "DANGER NOW. County lines: Jay"
    assert telling.summary_of(second) == "County lines: Jay"
    assert telling.summary_of(item(State.QUEUED)) == ""
