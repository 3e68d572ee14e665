"""`earlysign import-children`, `import-areas` and `explain`, run as a person runs them."""

from __future__ import annotations

import csv
import json
import os
import stat
from pathlib import Path
from unittest import mock

import pytest

from server.demo.population import write_registry_csv
from server.storage import open_store
from tests.cli.kit import run

SQUARE = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"code": "E09000022", "name": "Lambeth"},
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[-0.2, 51.4], [-0.1, 51.4], [-0.1, 51.5], [-0.2, 51.5], [-0.2, 51.4]]],
            },
        }
    ],
}


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    path = tmp_path / "registry.csv"
    write_registry_csv(path, 11, 60)
    return path


def counted(data: Path, table: str) -> int:
    store = open_store(data / "earlysign.db")
    try:
        found: int = store.read_now(lambda tx: tx.value(f"SELECT COUNT(*) FROM {table}"))
        return found
    finally:
        store.close_now()


def test_a_registry_is_imported_and_running_it_again_changes_nothing(tmp_path: Path, registry: Path) -> None:
    data = tmp_path / "data"
    first = run("import-children", str(registry), "--data", str(data))
    assert first.code == 0 and "60 children added" in first.out
    keys, entries = counted(data, "child_key"), counted(data, "audit_entry")
    second = run("import-children", str(registry), "--data", str(data))
    assert "0 children added, 0 brought up to date, 60 unchanged (done already)" in second.out
    assert counted(data, "child") == 60
    assert (counted(data, "child_key"), counted(data, "audit_entry")) == (keys, entries)
    assert counted(data, "import_run WHERE ended_at >= started_at AND started_by LIKE 'command:%'") == 2


def rewritten(registry: Path, change: str) -> None:
    with registry.open(encoding="utf-8", newline="") as source:
        rows = list(csv.reader(source))
    if change == "a missing column":
        rows = [row[1:] for row in rows]
    elif change == "an unknown column":
        rows[0][1] = "nickname"
    with registry.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    if change == "Windows-1252":
        text = registry.read_text(encoding="utf-8") + "".join(f"X{n},Zoë{',' * 16}\r\n" for n in range(3))
        registry.write_bytes(text.encode("cp1252", errors="replace"))
    elif change == "UTF-16":
        registry.write_bytes(registry.read_text(encoding="utf-8").encode("utf-16"))
    elif change == "not a CSV":
        registry.write_bytes(bytes(range(256)) * 600)
    elif change == "empty":
        registry.write_bytes(b"")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("a missing column", "child_id is missing"),
        ("an unknown column", "nickname"),
        ("Windows-1252", "Windows-1252"),
        ("UTF-16", "Save it again as plain CSV in UTF-8"),
        ("not a CSV", "line 1"),
        ("empty", "The first line must name columns"),
    ],
)
def test_a_file_that_cannot_be_used_changes_nothing(
    tmp_path: Path, registry: Path, change: str, said: str
) -> None:
    rewritten(registry, change)
    data = tmp_path / "data"
    refused = run("import-children", str(registry), "--data", str(data))
    assert refused.code == 1
    assert said in refused.err
    assert "Traceback" not in refused.err + refused.out
    assert counted(data, "child") == 0 and counted(data, "import_run") == 0


def test_rows_that_cannot_be_used_go_to_a_file_of_their_own(tmp_path: Path, registry: Path) -> None:
    with registry.open("a", encoding="utf-8") as file:
        file.write("1" + "," * 17 + "\n" + "X1,Ada,Stone,,spring" + "," * 13 + "\n")
    done = run("import-children", str(registry), "--data", str(tmp_path / "data"))
    assert done.code == 3
    assert "60 children added" in done.out and "2 rows rejected" in done.out
    aside = tmp_path / "registry.csv.rejects.csv"
    assert str(aside) in done.out.replace("\n", "")
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    with aside.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["line"] for row in rows] == ["62", "63"]
    assert "the same child_id" in rows[0]["reason"] and "date_of_birth is not a date" in rows[1]["reason"]
    assert rows[1]["given_names"] == "Ada" and rows[1]["date_of_birth"] == "spring"
    elsewhere = tmp_path / "elsewhere.csv"
    run("import-children", str(registry), "--data", str(tmp_path / "data"), "--rejects", str(elsewhere))
    assert elsewhere.read_bytes() == aside.read_bytes()


def test_a_file_cut_off_marks_nobody_unless_told_so(tmp_path: Path, registry: Path) -> None:
    data = tmp_path / "data"
    run("import-children", str(registry), "--data", str(data))
    lines = registry.read_text(encoding="utf-8").splitlines(keepends=True)
    registry.write_text("".join(lines[:31]), encoding="utf-8")
    refused = run("import-children", str(registry), "--data", str(data))
    assert refused.code == 1 and "leaves out 30 of 60" in refused.err and "--allow-vanish" in refused.err
    assert counted(data, "child WHERE left_registry_at IS NOT NULL") == 0
    done = run("import-children", str(registry), "--data", str(data), "--allow-vanish")
    assert done.code == 0 and "30 no longer in the registry" in done.out
    assert counted(data, "child WHERE left_registry_at IS NOT NULL") == 30
    assert counted(data, "child") == 60


def test_what_can_be_read_once_only_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    for name in (".", "pipe"):
        refused = run("import-children", name, "--data", str(tmp_path / "data"))
        assert refused.code == 1 and f"{name}: is no file of its own" in refused.err


def test_an_import_that_is_interrupted_says_what_to_do(tmp_path: Path, registry: Path) -> None:
    with mock.patch("server.cli.reference.import_registry", side_effect=KeyboardInterrupt):
        stopped = run("import-children", str(registry), "--data", str(tmp_path / "data"))
    assert stopped.code == 130 and "Stopped." in stopped.err and "run it again" in stopped.err


def test_what_a_night_leaves_out_is_said(tmp_path: Path) -> None:
    file, data = tmp_path / "registry.csv", str(tmp_path / "data")
    rows = [f"R{n},Ada{n:04}\n" for n in range(400)]
    header = "child_id,given_names\n"
    file.write_text(header + "".join(rows))
    assert "Writing: 400 of 400" in run("import-children", str(file), "--data", data).err
    file.write_text(header + "".join(rows[21:]))
    told = run("import-children", str(file), "--data", data)
    assert "21 no longer in the registry" in told.out and "5.2% of the children who were" in told.out
    file.write_text(header + "".join(rows[:50]) + "R50")
    told = run("import-children", str(file), "--data", data)
    assert told.code == 3 and "0 no longer in the registry" in told.out and "it was cut off" in told.out


def test_areas_are_loaded_and_take_the_place_of_those_before(tmp_path: Path) -> None:
    file = tmp_path / "areas.geojson"
    file.write_text(json.dumps(SQUARE))
    data = tmp_path / "data"
    for _ in range(2):
        assert run("import-areas", str(file), "--data", str(data)).code == 0
    assert counted(data, "area") == 1


def test_areas_from_a_day_leave_those_before_for_their_time(tmp_path: Path) -> None:
    file = tmp_path / "areas.geojson"
    file.write_text(json.dumps(SQUARE))
    data = tmp_path / "data"
    for more in ([], ["--from", "2026-04-01"], ["--from", "2026-04-01"]):
        assert run("import-areas", str(file), *more, "--data", str(data)).code == 0
    assert counted(data, "area") == 2
    refused = run("import-areas", str(file), "--from", "April", "--data", str(data))
    assert refused.code == 1 and "not a day" in refused.err
    assert run("import-areas", str(file), "--data", str(data)).code == 0
    assert counted(data, "area") == 1


def test_a_file_that_holds_no_areas_is_refused(tmp_path: Path, registry: Path) -> None:
    refused = run("import-areas", str(registry), "--data", str(tmp_path / "data"))
    assert refused.code == 1 and "not JSON" in refused.err


def test_explaining_a_note_that_is_not_there_says_so(tmp_path: Path) -> None:
    refused = run("explain", "no-such-note", "--data", str(tmp_path / "data"))
    assert refused.code == 1 and "No note with that id" in refused.err and "quarantine list" in refused.err
