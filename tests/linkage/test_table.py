from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from server.linkage.csv_rows import TableError
from server.linkage.table import LINK_COLUMNS, Summary, Unread, link_tables

COMMON = "sex,address,postcode,school,phone,guardian,upn,nhs_number\n"
KNOWN = (
    f"child_id,given_names,family_name,aliases,date_of_birth,{COMMON}"
    "K-1,Leila,Okonjo,Lei;Lulu,2013-05-27,female,14 Consort Road,SE15 3SX,Harris Academy,07700900123,,,\n"
    "K-2,Grace,Okonjo,,2013-05-27,female,14 Consort Road,SE15 3SX,Harris Academy,07700900123,,,\n"
    "K-3,Samuel,Bright,,2010-01-05,male,2 Rye Lane,SE15 4ST,,,,,\n"
)
NOTES = (
    f"note_id,observed_on,given_names,family_name,aliases,date_of_birth,age,{COMMON}"
    "N-1,2026-03-02,Laila,Okonjo,,2013-05-27,,female,,SE15 3SX,,,,,\n"
    'N-2,2026-03-02,,Okonjo,,2013-05-27,,,"14, Consort Road",SE15 3SX,,,,,\n'
    "N-3,2026-03-02,Pieter,Zuiderveld,,,13,male,,,,,,,\n"
)


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(tmp_path: Path, known: str | bytes = KNOWN, notes: str | bytes = NOTES) -> str:
    out = tmp_path / "links.csv"
    with pytest.raises(TableError) as caught:
        link_tables(write(tmp_path / "known.csv", known), write(tmp_path / "notes.csv", notes), out)
    message = str(caught.value)
    assert "\n" not in message
    for personal in ("Leila", "Okonjo", "Zuiderveld", "2013", "SE15", "N-1", "K-1"):
        assert personal not in message
    assert not out.exists() and not list(tmp_path.glob("*.part"))
    return message


def test_notes_are_linked_and_written_in_order(tmp_path: Path) -> None:
    out, told = tmp_path / "links.csv", list[tuple[str, int]]()
    summary = link_tables(
        write(tmp_path / "known.csv", KNOWN),
        write(tmp_path / "notes.csv", NOTES),
        out,
        progress=lambda stage, rows: told.append((stage, rows)),
    )
    assert summary == Summary(known=3, notes=3, link=1, review=1, new=1, unread=Unread())
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == LINK_COLUMNS
    assert (rows[0]["note_id"], rows[0]["decision"], rows[0]["child_id"]) == ("N-1", "link", "K-1")
    assert (rows[1]["decision"], rows[1]["second_child_id"] != "") == ("review", True)
    assert (rows[2]["decision"], rows[2]["child_id"]) == ("new", "")
    assert told == [("known", 3), ("notes", 3)]


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    known, notes = write(tmp_path / "k.csv", KNOWN), write(tmp_path / "n.csv", NOTES)
    link_tables(known, notes, tmp_path / "one.csv")
    link_tables(known, notes, tmp_path / "two.csv")
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_every_child_compared_is_listed_when_asked(tmp_path: Path) -> None:
    listed = tmp_path / "candidates.csv"
    known, notes = write(tmp_path / "k.csv", KNOWN), write(tmp_path / "n.csv", NOTES)
    link_tables(known, notes, tmp_path / "links.csv", candidates=listed)
    with listed.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(r["note_id"], r["child_id"]) for r in rows} == {
        ("N-1", "K-1"), ("N-1", "K-2"), ("N-2", "K-1"), ("N-2", "K-2")
    }  # fmt: skip
    assert rows[0]["child_id"] == "K-1" and float(rows[0]["probability"]) > 0.99


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    out = tmp_path / "links.csv"
    known = write(tmp_path / "known.csv", "\ufeff" + KNOWN.replace("\n", "\r\n"))
    assert link_tables(known, write(tmp_path / "notes.csv", NOTES), out).link == 1


def test_an_empty_registry_makes_everything_new(tmp_path: Path) -> None:
    known = write(tmp_path / "known.csv", KNOWN.splitlines()[0] + "\n")
    assert link_tables(known, write(tmp_path / "notes.csv", NOTES), tmp_path / "links.csv").new == 3


def test_an_unknown_column_is_named(tmp_path: Path) -> None:
    message = refused(tmp_path, known=KNOWN.replace("guardian", "parent"))
    assert message.startswith("known.csv, line 1: unknown columns: parent.") and "guardian" in message


def test_a_file_without_a_header_is_not_repeated(tmp_path: Path) -> None:
    assert "not names of columns" in refused(tmp_path, known="\n".join(KNOWN.splitlines()[1:]))


@pytest.mark.parametrize(("mark", "says"), [(";", "semicolons"), ("\t", "tabs"), ("|", "upright strokes")])
def test_a_file_with_other_marks_than_commas_says_which(tmp_path: Path, mark: str, says: str) -> None:
    assert f"line 1: {says} between the columns" in refused(tmp_path, known=KNOWN.replace(",", mark))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    assert "child_id is missing" in refused(tmp_path, known=KNOWN.replace("child_id,", "", 1))


def test_windows_1252_is_told_from_utf_8(tmp_path: Path) -> None:
    message = refused(tmp_path, known=KNOWN.replace("Leila", "Zoë").encode("cp1252"))
    assert "not UTF-8" in message and "Windows-1252" in message


def test_a_line_of_ten_megabytes_is_refused_with_its_number(tmp_path: Path) -> None:
    assert "line 5: longer than" in refused(
        tmp_path, notes=NOTES + "N-4,2026-03-02," + "x" * 10_000_000 + "\n"
    )


def test_a_cell_left_open_over_ten_megabytes_is_refused(tmp_path: Path) -> None:
    assert "line" in refused(tmp_path, notes=NOTES + 'N-4,2026-03-02,"' + "x\n" * 5_000_000)


def test_a_nul_byte_is_refused_with_its_line(tmp_path: Path) -> None:
    assert "line 3: holds a NUL byte" in refused(tmp_path, notes=NOTES.replace("N-2,", "N-2\0,"))


def test_the_same_child_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    assert "line 4: the same child_id as on line 2" in refused(tmp_path, known=KNOWN.replace("K-3", "K-1"))


def test_the_same_note_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    assert "line 4: the same note_id as on line 2" in refused(tmp_path, notes=NOTES.replace("N-3", "N-1"))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"14, Consort Road"', "14, Consort Road", "line 3: 16 cells, the header has 15"),
        ("N-1", "", "line 2: note_id is empty"),
    ],
)
def test_a_cell_that_breaks_the_contract_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    assert says in refused(tmp_path, notes=NOTES.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("2013-05-27", "in May 2013", "line 2: date_of_birth is not a date"),
        ("2026-03-02,Laila", "soon,Laila", "line 2: observed_on is not a date"),
        ("N-3,2026-03-02", "N-3,", "line 4: age without observed_on"),
        (",13,", ",thirteen,", "line 4: age is not a number"),
        (",13,", ",nan,", "line 4: age is not a number"),
        (",female,", ",F?,", "line 2: sex is neither"),
    ],
)
def test_a_cell_that_cannot_be_used_counts_as_empty_and_is_named(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    """One bad date must not keep thousands of notes from being linked."""
    known, out = write(tmp_path / "known.csv", KNOWN), tmp_path / "links.csv"
    bad, empty = NOTES.replace(old, new, 1), NOTES.replace(old, emptied(old), 1)
    summary = link_tables(known, write(tmp_path / "notes.csv", bad), out)
    assert summary.notes == 3 and summary.unread.count >= 1
    assert summary.unread.first[0].startswith(f"notes.csv, {says}")
    links = out.read_text(encoding="utf-8")
    link_tables(known, write(tmp_path / "notes.csv", empty), out)
    assert out.read_text(encoding="utf-8") == links


def emptied(old: str) -> str:
    """The same piece of a row with its first cell that is no id empty."""
    return {
        "2013-05-27": "", "2026-03-02,Laila": ",Laila", "N-3,2026-03-02": "N-3,", ",13,": ",,", ",female,": ",,",
    }[old]  # fmt: skip


def test_many_cells_that_cannot_be_used_are_counted_and_few_are_named(tmp_path: Path) -> None:
    rows = "".join(f"M-{n},2026-03-02,Laila,,,31/02/2013{',' * 9}\n" for n in range(40))
    summary = link_tables(
        write(tmp_path / "known.csv", KNOWN),
        write(tmp_path / "notes.csv", NOTES + rows),
        tmp_path / "links.csv",
    )
    assert (summary.notes, summary.unread.count, len(summary.unread.first)) == (43, 40, 5)


def test_an_empty_file_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    assert "empty" in refused(tmp_path, known="")
    with pytest.raises(TableError, match=r"nowhere\.csv: cannot be read"):
        link_tables(tmp_path / "nowhere.csv", write(tmp_path / "n.csv", NOTES), tmp_path / "o.csv")


def test_an_output_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    known, notes = write(tmp_path / "k.csv", KNOWN), write(tmp_path / "n.csv", NOTES)
    with pytest.raises(TableError, match="cannot be written"):
        link_tables(known, notes, tmp_path / "no" / "links.csv")


def test_a_file_that_is_read_is_never_written_over(tmp_path: Path) -> None:
    known, notes = write(tmp_path / "k.csv", KNOWN), write(tmp_path / "n.csv", NOTES)
    twin, out = tmp_path / "twin.csv", tmp_path / "links.csv"
    twin.hardlink_to(known)
    (tmp_path / "linked.csv").symlink_to(notes)
    for place in (known, notes, twin, tmp_path / "linked.csv"):
        with pytest.raises(TableError, match="over another file"):
            link_tables(known, notes, place)
        with pytest.raises(TableError, match="over another file"):
            link_tables(known, notes, out, candidates=place)
    with pytest.raises(TableError, match="over another file"):
        link_tables(known, notes, out, candidates=out)
    assert (known.read_text(encoding="utf-8"), notes.read_text(encoding="utf-8")) == (KNOWN, NOTES)
    assert not out.exists()


def test_what_is_no_file_is_left_as_it_is(tmp_path: Path) -> None:
    known, notes = write(tmp_path / "k.csv", KNOWN), write(tmp_path / "n.csv", NOTES)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (pipe, tmp_path):
        with pytest.raises(TableError, match="is not a file"):
            link_tables(known, notes, place)
    assert pipe.is_fifo()
