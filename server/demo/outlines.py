"""Coarse outlines of the boroughs, so that positions become boroughs without downloading anything.

Each is a many-sided figure within the disc of `places.toml`, which lies inside its borough: a position in one is
surely in that borough, and much of London is in none. For real work load the boundaries of the Office for
National Statistics with `earlysign import-areas`.
"""

import math
from typing import Any

import msgspec

from server.demo.places import METRES_PER_DEGREE, Borough, boroughs

CORNERS = 24
"""A figure of 24 corners covers 98.9 % of its disc."""


def outline(borough: Borough) -> list[tuple[float, float]]:
    """A closed ring inside the borough's disc: (longitude, latitude) in degrees, anticlockwise."""
    metres_per_degree_east = METRES_PER_DEGREE * math.cos(math.radians(borough.latitude))
    ring = []
    for corner in range(CORNERS):
        angle = 2 * math.pi * corner / CORNERS
        east = borough.radius_metres * math.cos(angle) / metres_per_degree_east
        north = borough.radius_metres * math.sin(angle) / METRES_PER_DEGREE
        ring.append((round(borough.longitude + east, 6), round(borough.latitude + north, 6)))
    return [*ring, ring[0]]


def outlines_geojson() -> bytes:
    """A GeoJSON FeatureCollection (RFC 7946, WGS 84) of all boroughs, as `earlysign import-areas` takes it."""
    features: list[dict[str, Any]] = [
        {
            "type": "Feature",
            "properties": {"code": borough.code, "name": borough.name},
            "geometry": {"type": "Polygon", "coordinates": [outline(borough)]},
        }
        for borough in boroughs().values()
    ]
    return msgspec.json.encode({"type": "FeatureCollection", "features": features})
