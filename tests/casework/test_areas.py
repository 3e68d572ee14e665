"""Boundaries: what is read, what is refused, and where a point is."""

import json
import math
import pathlib
import random
from typing import Any

import pytest
import shapely  # type: ignore[import-untyped]  # shapely ships no type information

from server.casework import areas
from server.casework.areas import AreaHistory, Areas, AreasError, parse_geojson

BOUNDARIES = pathlib.Path(__file__).parents[3] / "shared" / "data" / "london-boroughs.geojson"


def square(west: float, south: float, size: float = 1.0) -> dict[str, Any]:
    east, north = west + size, south + size
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def feature(code: Any = "E09000001", name: Any = "One", geometry: Any = None) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"code": code, "name": name},
        "geometry": square(0, 51) if geometry is None else geometry,
    }


def collection(*features: Any, **more: Any) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": list(features)} | more).encode()


@pytest.fixture(scope="module")
def london() -> Areas:
    if not BOUNDARIES.exists():
        pytest.skip("the boundaries in ../shared/data are missing")
    return Areas((a.code, a.name, a.wkb) for a in parse_geojson(BOUNDARIES.read_bytes()))


@pytest.mark.parametrize(
    ("place", "latitude", "longitude", "code"),
    [
        ("Peckham", 51.4739, -0.0691, "E09000028"),
        ("Brixton", 51.4627, -0.1145, "E09000022"),
        ("Wimbledon", 51.4214, -0.2064, "E09000024"),
        ("Walthamstow", 51.5830, -0.0199, "E09000031"),
        ("Heathrow", 51.4700, -0.4543, "E09000017"),
        ("Guildhall in the City", 51.5158, -0.0920, None),
        ("Dartford", 51.4462, 0.2169, None),
        ("Edinburgh", 55.9533, -3.1883, None),
    ],
)
def test_places_in_london(
    london: Areas, place: str, latitude: float, longitude: float, code: str | None
) -> None:
    assert london.borough_at(latitude, longitude) == code, place


def test_the_cells_agree_with_the_geometry_everywhere(london: Areas) -> None:
    print("seed 7")
    generator = random.Random(7)
    parsed = parse_geojson(BOUNDARIES.read_bytes())
    shapes = [(a.code, shapely.from_wkb(a.wkb)) for a in parsed]
    for _ in range(3000):
        latitude, longitude = generator.uniform(51.28, 51.70), generator.uniform(-0.52, 0.34)
        point = shapely.Point(longitude, latitude)
        expected = next((code for code, shape in shapes if shape.intersects(point)), None)
        assert london.borough_at(latitude, longitude) == expected


def test_a_point_on_a_shared_boundary_is_in_the_first_code_and_the_cache_may_overflow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(areas, "CELLS_MAX", 3)
    both = Areas([("B", "East", json.dumps(square(1, 51))), ("A", "West", json.dumps(square(0, 51)))])
    assert len(both) == 2
    assert both.names == {"A": "West", "B": "East"}
    for _ in range(2):
        assert both.borough_at(51.5, 1.0) == "A"
        assert both.borough_at(51.5, 0.0) == "A"
        assert both.borough_at(51.5, 2.0) == "B"
        assert both.borough_at(51.5, 1.000001) == "B"
        assert both.borough_at(51.5, 2.000001) is None
        assert both.borough_at(50.0, 2.0) is None


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [(math.nan, 0.0), (0.0, math.nan), (math.inf, 0.0), (900.0, 0.0), (0.0, 181.0), (-91.0, 0.0)],
)
def test_a_position_that_is_none_is_nowhere(latitude: float, longitude: float) -> None:
    assert Areas([("A", "A", json.dumps(square(0, 51)))]).borough_at(latitude, longitude) is None


def test_no_areas_know_no_point() -> None:
    assert Areas([]).borough_at(51.5, 0.0) is None


def test_a_boundary_that_cannot_be_read_is_named() -> None:
    with pytest.raises(AreasError, match="E09000001"):
        Areas([("E09000001", "One", b"not wkb")])


def test_areas_are_sorted_by_code_and_ons_names_of_properties_are_known() -> None:
    ons = {
        "type": "Feature",
        "properties": {"LAD23CD": "E09000003", "LAD23NM": " Barnet ", "LAD23NMW": ""},
        "geometry": {"type": "MultiPolygon", "coordinates": [square(2, 51)["coordinates"]]},
    }
    parsed = parse_geojson(collection(ons, feature("E09000002", "Barking")))
    assert [(area.code, area.name) for area in parsed] == [("E09000002", "Barking"), ("E09000003", "Barnet")]


@pytest.mark.parametrize(
    "name", ["urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:EPSG::4326", "EPSG:4326", "WGS 84"]
)
def test_wgs_84_has_several_names(name: str) -> None:
    crs = {"type": "name", "properties": {"name": name}}
    assert len(parse_geojson(collection(feature(), crs=crs))) == 1


BOW = {"type": "Polygon", "coordinates": [[[0, 51], [1, 52], [1, 51], [0, 52], [0, 51]]]}
SWAPPED = {"type": "Polygon", "coordinates": [[[51, 0], [52, 0], [52, 1], [51, 1], [51, 0]]]}
OPEN = {"type": "Polygon", "coordinates": [[[0, 51], [1, 51], [1, 52]]]}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b"code,name\n1,2", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a GeoJSON FeatureCollection"),
        (json.dumps(feature()).encode(), "not a GeoJSON FeatureCollection"),
        (b'{"type": "FeatureCollection"}', "no features"),
        (collection(), "no features"),
        (collection(7), "Feature 1 is not a GeoJSON Feature"),
        (collection({"type": "Feature", "properties": None}), "Feature 1 has no properties"),
        (collection(feature(code=None)), "Feature 1 has no code"),
        (collection(feature(code=12)), "Feature 1 has no code"),
        (collection(feature(name=" ")), r"Feature 1 \(E09000001\) has no name"),
        (collection(feature(), feature()), "Feature 2: the code E09000001 is there twice"),
        (collection(feature(geometry={"type": "Point", "coordinates": [0, 51]})), "is Point, not a Polygon"),
        (collection(feature(geometry=5)), "is nothing, not a Polygon"),
        (collection(feature(geometry={"type": "Polygon", "coordinates": []})), "empty"),
        (collection(feature(geometry={"type": "Polygon"})), "cannot be read"),
        (collection(feature(geometry={"type": "Polygon", "coordinates": [[["a", 1]]]})), "cannot be read"),
        (collection(feature(geometry=OPEN)), "cannot be read"),
        (collection(feature(geometry=BOW)), "not valid"),
        (collection(feature(geometry=square(530_000, 180_000))), "not degrees.*British National Grid"),
        (collection(feature(geometry=SWAPPED)), "look swapped"),
        (
            collection(
                feature(), crs={"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::27700"}}
            ),
            "EPSG::27700, not in WGS 84",
        ),
        (collection(feature(), crs=5), "something unreadable"),
    ],
)
def test_every_mistake_in_a_file_is_named(content: bytes, says: str) -> None:
    with pytest.raises(AreasError, match=says):
        parse_geojson(content)


def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(areas, "BYTES_MAX", 1 << 20)
    with pytest.raises(AreasError, match="larger than 1 MB"):
        parse_geojson(b" " * ((1 << 20) + 1))


@pytest.mark.parametrize(
    ("instant", "code"),
    [(-5, "E09000001"), (0, "E09000001"), (999, "E09000001"), (1_000, "E09000002"), (10**15, "E09000002")],
)
def test_a_point_is_in_the_area_that_was_there_then(instant: int, code: str) -> None:
    [before] = parse_geojson(collection(feature("E09000001")))
    [after] = parse_geojson(collection(feature("E09000002")))
    rows = {
        1_000: [(after.code, after.name, after.wkb)],
        0: [(before.code, before.name, before.wkb)],
    }
    history = AreaHistory(rows)
    assert history.borough_at(51.5, 0.5, instant) == code
    assert history.borough_at(10.0, 0.5, instant) is None
    # The first known are used for what was before them.
    assert AreaHistory({1_000: rows[1_000]}).borough_at(51.5, 0.5, instant) == "E09000002"


def test_without_boundaries_no_point_is_anywhere() -> None:
    assert AreaHistory({}).borough_at(51.5, 0.5, 0) is None
