"""Boroughs, homes and schools: real where they must be, invented where they may be."""

import json
from pathlib import Path
from random import Random

import pytest
import shapely  # type: ignore[import-untyped]  # shapely ships no type information

from server.demo.draw import words
from server.demo.places import (
    SCHOOLS_PER_BOROUGH,
    UNITS_PER_DISTRICT,
    any_borough,
    boroughs,
    home_in,
    postcode_of,
    schools,
    spot_in,
)

BOUNDARIES = Path(__file__).parents[3] / "shared" / "data" / "london-boroughs.geojson"

REAL_PLACES_AND_SAINTS = words(
    """
Saint St. Holy Sacred Trinity Christ Barking Dagenham Barnet Bexley Brent Bromley Camden Croydon Ealing
Enfield Greenwich Hackney Hammersmith Fulham Haringey Harrow Havering Hillingdon Hounslow Islington
Kensington Chelsea Kingston Lambeth Lewisham Merton Newham Redbridge Richmond Southwark Sutton Hamlets
Waltham Wandsworth Westminster Ilford Romford Peckham Brixton Clapham Stratford Tottenham Wembley
Walthamstow Woolwich Eltham Streatham Tooting Battersea Deptford Stepney Bethnal Bow Poplar Dalston Stoke
Finchley Hendon Edgware Southall Acton Chiswick Twickenham Feltham Uxbridge Hayes Ruislip Pinner Stanmore
Mitcham Morden Wimbledon Surbiton Purley Norwood Sydenham Catford Bermondsey Dulwich Camberwell Vauxhall
Kennington Pimlico Paddington Marylebone Hampstead Highgate Holloway Archway Hornsey Edmonton Southgate
Palmers Chingford Leyton Wanstead Woodford Hainault Rainham Upminster Hornchurch Erith Sidcup Orpington
Chislehurst Beckenham Penge Mossbourne Harris Ark Oasis Haberdashers Forest Elmgreen Graveney Evelyn
Dunraven Hazelwick Ambergate Thistlemoor Copperfield Sedgehill Langdon Plashet Rokeby Brampton Burlington
Cardinal Bishop Queen King
"""
)


def test_there_are_the_32_boroughs_of_the_met() -> None:
    codes = list(boroughs())
    assert codes == [f"E090000{number:02d}" for number in range(2, 34)]
    assert len({borough.bcu for borough in boroughs().values()}) == 12
    assert len({borough.education_authority for borough in boroughs().values()}) == 32


def test_neighbours_are_mutual() -> None:
    for code, borough in boroughs().items():
        assert code not in borough.neighbours
        assert borough.neighbours
        for other in borough.neighbours:
            assert code in boroughs()[other].neighbours


def test_names_centres_and_spots_agree_with_the_boundaries() -> None:
    if not BOUNDARIES.exists():
        pytest.skip(f"no borough boundaries at {BOUNDARIES.name}: the check needs ../shared/data")
    features = json.loads(BOUNDARIES.read_text(encoding="utf-8"))["features"]
    shapes = {f["properties"]["code"]: (f["properties"]["name"], f["geometry"]) for f in features}
    assert set(shapes) == set(boroughs())
    rng = Random(1)
    for code, borough in boroughs().items():
        name, geometry = shapes[code]
        outline = shapely.geometry.shape(geometry)
        assert borough.name == name
        for _ in range(200):
            latitude, longitude = spot_in(borough, rng)
            assert outline.contains(shapely.Point(longitude, latitude)), borough.name


def test_no_two_units_of_a_district_share_a_postcode() -> None:
    shared_by_three = {postcode_of("NW9", unit) for unit in range(3 * UNITS_PER_DISTRICT)}
    assert len(shared_by_three) == 3 * UNITS_PER_DISTRICT


def test_one_postcode_has_one_street_in_one_borough() -> None:
    rng, found = Random(2), dict[str, set[tuple[str, str]]]()
    for _ in range(60_000):
        home = home_in(any_borough().pick(rng), rng)
        street = home.address.rpartition(", ")[2].lstrip("0123456789 ")
        found.setdefault(home.postcode, set()).add((street, home.borough))
    assert all(len(streets) == 1 for streets in found.values())


def test_school_names_are_unique_and_invented() -> None:
    names = [school.name for code in boroughs() for school in schools(code)]
    assert len(names) == len(set(names)) == 32 * SCHOOLS_PER_BOROUGH
    for name in names:
        for real in REAL_PLACES_AND_SAINTS:
            assert real not in name, name
