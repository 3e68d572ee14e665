"""The force's boroughs and units."""

import json
import pathlib

import pytest

from server.casework.boroughs import BoroughsError, default_force, load_force

BOUNDARIES = pathlib.Path(__file__).parents[3] / "shared" / "data" / "london-boroughs.geojson"
UNIT = '[[units]]\ncode = "A"\nname = "A"\nboroughs = [{ code = "E09000001", name = "One" }]\n'


def test_the_force_has_32_boroughs_in_12_units() -> None:
    force = default_force()
    assert len(force.boroughs) == 32
    assert len(force.units) == 12
    assert sorted(code for unit in force.units.values() for code in unit.boroughs) == sorted(force.boroughs)
    assert {f"E090000{number:02}" for number in range(2, 34)} == set(force.boroughs)


def test_lambeth_and_southwark_are_central_south() -> None:
    force = default_force()
    unit = force.unit_of("E09000022")
    assert unit is not None
    assert force.units[unit].name == "Central South"
    assert {force.name_of(code) for code in force.boroughs_of(unit)} == {"Lambeth", "Southwark"}


def test_the_city_of_london_is_not_policed_by_this_force() -> None:
    force = default_force()
    assert not force.polices("E09000001")
    assert not force.polices(None)
    assert force.unit_of("E09000001") is None
    assert force.name_of("E09000001") == "E09000001"
    assert force.boroughs_of("XX") == ()


def test_names_and_codes_agree_with_the_published_boundaries() -> None:
    if not BOUNDARIES.exists():
        pytest.skip("the boundaries in ../shared/data are missing")
    features = json.loads(BOUNDARIES.read_bytes())["features"]
    published = {f["properties"]["code"]: f["properties"]["name"] for f in features}
    assert {code: borough.name for code, borough in default_force().boroughs.items()} == published


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = ", "not valid TOML"),
        ('name = "F"', "units"),
        ('name = "F"\n' + UNIT + UNIT, "unit A is in the file of boroughs twice"),
        ('name = "F"\n' + UNIT + UNIT.replace('"A"', '"B"'), "borough E09000001 is in the file twice"),
        ('name = "F"\n' + UNIT.replace("E09000001", "Lambeth"), "wrong"),
    ],
)
def test_every_mistake_in_the_file_is_named(text: str, says: str) -> None:
    with pytest.raises(BoroughsError, match=says):
        load_force(text)


def test_a_force_loads_from_a_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "boroughs.toml"
    path.write_text('name = "F"\n' + UNIT, encoding="utf-8")
    assert load_force(path).name_of("E09000001") == "One"
