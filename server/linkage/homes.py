"""Which level two homes reach: house number, street and postcode together. Symmetric in its two sides."""

from __future__ import annotations

from rapidfuzz.distance.OSA import distance as osa
from rapidfuzz.fuzz import token_set_ratio

from server.linkage import levels as lv
from server.linkage.standardise import Record

LONG_ADDRESS = 20  # so many letters in common are a home without its number


def address(one: Record, other: Record) -> int:
    """Level of the home: house number, street and postcode together, since each implies the others."""
    postcodes = bool(one.postcode and other.postcode)
    same_postcode = postcodes and one.postcode == other.postcode
    streets = bool(one.address and other.address)
    numbers = bool(one.number and other.number)
    same_number = numbers and one.number == other.number
    if same_postcode:
        return _within_postcode(one, other, streets, numbers, same_number)
    same_area = bool(one.outward and one.outward == other.outward)
    near_postcode = postcodes and osa(one.postcode, other.postcode, score_cutoff=1) <= 1
    if streets and (same_number or not numbers):
        alike = _streets(one.address, other.address)
        long_text = min(len(one.address), len(other.address)) >= LONG_ADDRESS
        if alike >= 85 and same_number:
            if near_postcode or (same_area and not postcodes):
                return lv.A_HOME
            return lv.A_NEAR if long_text or not postcodes else lv.A_NUMBER_STREET
        if alike >= 75 and (same_number or long_text) and (near_postcode or long_text):
            return lv.A_NEAR
        if alike >= 88:
            return lv.A_STREET
    elif streets and one.address == other.address:
        return lv.A_STREET
    if same_area or near_postcode:
        return lv.A_AREA
    placed = bool((one.postcode or one.outward) and (other.postcode or other.outward))
    return lv.A_DIFFER if placed or (streets and _is_home(one) and _is_home(other)) else lv.MISSING_LEVEL


def _is_home(record: Record) -> bool:
    """Whether the address tells a home, and not only a place: that a child was seen at a bus station says nothing of
    where it lives."""
    return bool(record.number or record.postcode or record.outward)


def _within_postcode(one: Record, other: Record, streets: bool, numbers: bool, same_number: bool) -> int:
    if not streets:
        return lv.A_HOME if same_number else lv.A_POSTCODE
    if numbers and not same_number:
        alike = _streets(one.address, other.address)
        return (
            lv.A_NEAR
            if alike >= 85 and min(len(one.address), len(other.address)) >= LONG_ADDRESS
            else lv.A_POSTCODE
        )
    alike = _streets(one.address, other.address)
    if alike >= 70:
        return lv.A_HOME if same_number else lv.A_NEAR
    return lv.A_NEAR if same_number else lv.A_POSTCODE


def _streets(one: str, other: str) -> float:
    return 100.0 if one == other else token_set_ratio(one, other, score_cutoff=70)
