"""A registry, notes and their truth, as files."""

import csv
from pathlib import Path

import pytest

from server.demo.linking_set import NOTE_COLUMNS, write_linking_set
from server.demo.population import KNOWN_COLUMNS
from server.demo.strata import NOBODY_KNOWN, Stratum


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_files_have_the_columns_of_the_contract_and_the_truth_names_registered_children(
    tmp_path: Path,
) -> None:
    known, notes, truth = (rows(path) for path in write_linking_set(tmp_path, 1, 3000, 1000))
    assert (len(known), len(notes), len(truth)) == (3000, 1000, 1000)
    assert tuple(known[0]) == KNOWN_COLUMNS
    assert tuple(notes[0]) == NOTE_COLUMNS
    ids = {row["child_id"] for row in known}
    for note, label in zip(notes, truth, strict=True):
        assert note["note_id"] == label["note_id"]
        assert (label["child_id"] == "") == (Stratum(label["stratum"]) in NOBODY_KNOWN)
        assert label["child_id"] in ids | {""}
        assert not (note["age"] and note["date_of_birth"])
    about = [row["child_id"] for row in truth if row["child_id"]]
    assert len(about) == len(set(about))


def test_a_linking_set_is_the_same_every_time(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = (write_linking_set(tmp_path / name, 5, 500, 400) for name in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_more_notes_than_children_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at most one note a child"):
        write_linking_set(tmp_path, 1, 10, 11)
