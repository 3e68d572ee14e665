"""`earlysign import-children`, `import-areas` and `explain`, run as a person runs them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

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


def test_a_registry_is_imported_and_running_it_again_adds_nothing(tmp_path: Path, registry: Path) -> None:
    data = tmp_path / "data"
    first = run("import-children", str(registry), "--data", str(data))
    assert first.code == 0 and "60 children added" in first.out
    keys = counted(data, "child_key")
    second = run("import-children", str(registry), "--data", str(data))
    assert "0 children added, 60 brought up to date" in second.out
    assert counted(data, "child") == 60
    assert counted(data, "child_key") == keys


def rewritten(registry: Path, change: str) -> None:
    with registry.open(encoding="utf-8", newline="") as source:
        rows = list(csv.reader(source))
    if change == "the same child twice":
        rows.append(rows[1])
    elif change == "a missing column":
        rows = [row[1:] for row in rows]
    elif change == "an unknown column":
        rows[0][1] = "nickname"
    elif change == "neither yes nor no":
        rows[5][-1] = "perhaps"
    elif change == "no date":
        rows[5][4] = "spring"
    with registry.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    if change == "Windows-1252":
        text = registry.read_text(encoding="utf-8") + "X1,Zoë\r\n"
        registry.write_bytes(text.encode("cp1252", errors="replace"))
    elif change == "a line of 10 MB":
        with registry.open("a") as file:
            file.write("X1," + "x" * 10_000_000)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("the same child twice", "two lines"),
        ("a missing column", "child_id is missing"),
        ("an unknown column", "nickname"),
        ("neither yes nor no", "line 6"),
        ("no date", "date_of_birth is not a date"),
        ("Windows-1252", "Windows-1252"),
        ("a line of 10 MB", "longer than"),
    ],
)
def test_a_registry_that_cannot_be_used_changes_nothing(
    tmp_path: Path, registry: Path, change: str, said: str
) -> None:
    rewritten(registry, change)
    data = tmp_path / "data"
    refused = run("import-children", str(registry), "--data", str(data))
    assert refused.code == 1
    assert said in refused.err
    assert "Traceback" not in refused.err + refused.out
    assert counted(data, "child") == 0


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
    assert refused.code == 1 and "no such note" in refused.err
