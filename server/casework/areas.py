"""Which borough is that point in? Boundaries from GeoJSON, and a lookup fast enough for every note.

The lookup remembers, for cells of about 400 metres, which area covers the whole cell: most points need no
geometry at all. Only cells that a boundary crosses ask shapely's prepared geometries.
"""

import bisect
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import shapely  # type: ignore[import-untyped]  # shapely ships no type information

BYTES_MAX = 256 * 1024 * 1024
"""Full-resolution boundaries of all local authorities are about 130 MB; more is a mistaken file."""

CELLS_MAX = 65_536
"""Remembered cells: London takes about 10,000, and at 100 bytes each the memory stays below 10 MB."""

CELLS_PER_DEGREE = 256
"""Cells of 430 metres by 270 in London; a power of two keeps their corners exact."""

_CODE_KEYS = ("code", "gss_code", "GSS_CODE")
_NAME_KEYS = ("name", "NAME")
_ONS_CODE = re.compile(r"^[A-Z]{2,8}\d{2}CD$")
_ONS_NAME = re.compile(r"^[A-Z]{2,8}\d{2}NM$")
_WGS_84 = re.compile(r"(CRS:?84|EPSG:(:|[\d.]+:)?4326|^WGS[ _]?84)$", re.IGNORECASE)


class AreasError(ValueError):
    """Boundaries that cannot be used. The message says which feature, why, and what to do."""


class Area(msgspec.Struct, frozen=True):
    """One area: ONS GSS `code`, `name`, and its boundary as WKB (longitude, latitude; WGS 84)."""

    code: str
    name: str
    wkb: bytes


class Areas:
    """A set of boundaries that answers which of them a point is in.

    `rows` are (code, name, boundary), the boundary as WKB bytes or as GeoJSON text of a geometry. Raises
    `AreasError` for a boundary that cannot be read. Where areas overlap, the first code in order wins.
    Safe to share among threads: the only thing that changes is a cache, by single dictionary operations.
    """

    def __init__(self, rows: Iterable[tuple[str, str, bytes | str]]) -> None:
        ordered = sorted(rows, key=lambda row: row[0])
        self.names: dict[str, str] = {code: name for code, name, _ in ordered}
        self._codes = [code for code, _, _ in ordered]
        self._shapes = [_read_shape(shape, code) for code, _, shape in ordered]
        for shape in self._shapes:
            shapely.prepare(shape)
        self._tree = shapely.STRtree(self._shapes)
        self._cells: dict[tuple[int, int], str | tuple[int, ...] | None] = {}

    def __len__(self) -> int:
        return len(self._codes)

    def borough_at(self, latitude: float, longitude: float) -> str | None:
        """The code of the area at a point (degrees, WGS 84), or None: outside them all, or no such point.

        A point on a boundary is inside; on the boundary of two, it is in the first code.
        """
        if not (-90.0 <= latitude <= 90.0 and -180.0 <= longitude <= 180.0):
            return None
        cell = (math.floor(longitude * CELLS_PER_DEGREE), math.floor(latitude * CELLS_PER_DEGREE))
        try:
            known = self._cells[cell]
        except KeyError:
            known = self._learn(cell)
        if known is None or isinstance(known, str):
            return known
        for index in known:
            if shapely.intersects_xy(self._shapes[index], longitude, latitude):
                return self._codes[index]
        return None

    def _learn(self, cell: tuple[int, int]) -> str | tuple[int, ...] | None:
        """What is known of a cell: the code that has all of it, None for nobody, or whom to ask."""
        west, south = cell[0] / CELLS_PER_DEGREE, cell[1] / CELLS_PER_DEGREE
        box = shapely.box(west, south, west + 1 / CELLS_PER_DEGREE, south + 1 / CELLS_PER_DEGREE)
        near = sorted(int(index) for index in self._tree.query(box, predicate="intersects"))
        known: str | tuple[int, ...] | None = tuple(near)
        if not near:
            known = None
        elif shapely.covers(self._shapes[near[0]], box):
            known = self._codes[near[0]]
        if len(self._cells) >= CELLS_MAX:
            self._cells.clear()
        self._cells[cell] = known
        return known


class AreaHistory:
    """Boundaries as they changed: a note is placed by those that were in force when it was observed.

    `versions` are the rows of `Areas` by when they came into force (milliseconds). Of a time before the first,
    the first are used: nothing older is known.
    """

    def __init__(self, versions: Mapping[int, Iterable[tuple[str, str, bytes | str]]]) -> None:
        self._since = sorted(versions)
        self._areas = [Areas(versions[since]) for since in self._since]

    def at(self, instant: int) -> Areas | None:
        """The boundaries in force at an instant; None where none were ever loaded."""
        if not self._areas:
            return None
        return self._areas[max(0, bisect.bisect_right(self._since, instant) - 1)]

    def borough_at(self, latitude: float, longitude: float, instant: int) -> str | None:
        """The code of the area that a point was in at an instant, or None; see `Areas.borough_at`."""
        areas = self.at(instant)
        return areas.borough_at(latitude, longitude) if areas is not None else None


def parse_geojson(content: bytes) -> list[Area]:
    """The areas of a GeoJSON FeatureCollection of polygons in WGS 84 (RFC 7946), sorted by code.

    Code and name are the properties `code` and `name`, or those of ONS such as `LAD23CD` and `LAD23NM`.
    Raises `AreasError` with what is wrong and what to do.
    """
    if len(content) > BYTES_MAX:
        raise AreasError(f"The file is larger than {BYTES_MAX >> 20} MB. Use generalised boundaries.")
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AreasError(f"The file is not JSON ({error}). Export the boundaries as GeoJSON.") from error
    if not isinstance(document, dict) or document.get("type") != "FeatureCollection":
        raise AreasError("The file is JSON but not a GeoJSON FeatureCollection. Export it as one.")
    features = document.get("features")
    if not isinstance(features, list) or not features:
        raise AreasError("The FeatureCollection has no features. Export the boundaries with their polygons.")
    _check_reference_system(document.get("crs"))
    areas: dict[str, Area] = {}
    for position, feature in enumerate(features, start=1):
        area = _parse_feature(feature, f"Feature {position}")
        if area.code in areas:
            raise AreasError(f"Feature {position}: the code {area.code} is there twice. Keep one of them.")
        areas[area.code] = area
    return [areas[code] for code in sorted(areas)]


def _check_reference_system(crs: object) -> None:
    """The old `crs` member may say what the coordinates are; without it they are WGS 84 by the standard."""
    if crs is None:
        return
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if not isinstance(name, str) or not _WGS_84.search(name):
        said = name if isinstance(name, str) else "something unreadable"
        raise AreasError(
            f"The coordinates are in {said[:80]}, not in WGS 84. Convert the file to EPSG:4326, for example "
            "with ogr2ogr -t_srs EPSG:4326."
        )


def _parse_feature(feature: object, where: str) -> Area:
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        raise AreasError(f"{where} is not a GeoJSON Feature. Export the file again.")
    properties = feature.get("properties")
    if not isinstance(properties, dict):
        raise AreasError(f"{where} has no properties. It needs a code and a name.")
    code = _property(properties, _CODE_KEYS, _ONS_CODE)
    if code is None:
        raise AreasError(f"{where} has no code. Add a property `code` with the ONS GSS code.")
    name = _property(properties, _NAME_KEYS, _ONS_NAME)
    if name is None:
        raise AreasError(f"{where} ({code}) has no name. Add a property `name`.")
    where = f"{where} ({code})"
    geometry = feature.get("geometry")
    if not isinstance(geometry, dict) or geometry.get("type") not in ("Polygon", "MultiPolygon"):
        kind = geometry.get("type") if isinstance(geometry, dict) else "nothing"
        raise AreasError(f"{where} is {kind!s:.40}, not a Polygon or MultiPolygon. Export areas, not lines.")
    shape = _read_shape(msgspec.json.encode(geometry).decode(), where)
    _check_shape(shape, where)
    return Area(code, name, bytes(shapely.to_wkb(shape)))


def _property(properties: dict[Any, Any], names: Sequence[str], pattern: re.Pattern[str]) -> str | None:
    """The first text found under one of these names, or else under a name of the ONS pattern."""
    for key in (*names, *(key for key in properties if isinstance(key, str) and pattern.match(key))):
        value = properties.get(key)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return None


def _read_shape(shape: bytes | str, where: str) -> Any:
    try:
        return shapely.from_wkb(shape) if isinstance(shape, bytes) else shapely.from_geojson(shape)
    except (shapely.errors.ShapelyError, ValueError, TypeError) as error:
        raise AreasError(f"{where}: the boundary cannot be read ({error}). Export the file again.") from error


def _check_shape(shape: Any, where: str) -> None:
    if shape is None or shapely.is_empty(shape):
        raise AreasError(f"{where}: the boundary is empty. Export the polygons with the file.")
    west, south, east, north = (float(bound) for bound in shapely.bounds(shape))
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise AreasError(
            f"{where}: coordinates such as {west:.0f}, {south:.0f} are not degrees, so the file is not in "
            "WGS 84 (British National Grid, perhaps). Convert it to EPSG:4326."
        )
    if west >= 49 and east <= 61.5 and south >= -9 and north <= 2.5:
        raise AreasError(
            f"{where}: the coordinates look swapped: GeoJSON has longitude first, then latitude. Swap them."
        )
    if not shapely.is_valid(shape):
        reason = shapely.is_valid_reason(shape)
        raise AreasError(f"{where}: the boundary is not valid ({reason}). Repair it, for example in QGIS.")
