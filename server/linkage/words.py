"""Weights and probabilities in plain words: the terminal, the doors and the pages all say them like this. Pure."""

from __future__ import annotations

import math

NBSP = "\u00a0"
MINUS = "\u2212"


def percent(probability: float) -> str:
    """ "99.97 %", never rounded up to certainty or down to impossibility."""
    value = probability * 100
    if value > 99.99:
        return f"over 99.99{NBSP}%"
    if value < 0.01:
        return f"under 0.01{NBSP}%"
    places = 2 if value >= 99 or value < 1 else 0
    # Rounded first where the product of two fractions falls just short (57 is 56.99999999999999).
    floored = math.floor(round(value * 10**places, 6)) / 10**places
    return f"{floored:.{places}f}{NBSP}%"


def signed(weight: float) -> str:
    """A weight in bits with its sign: "+8.3", "0", and a true minus sign below."""
    text = f"{abs(weight):.1f}"
    if text == "0.0":
        return "0"
    return f"+{text}" if weight > 0 else f"{MINUS}{text}"


def weight_words(weight: float) -> str:
    """How far one field speaks for or against: "strongly for", "weakly against", "says nothing"."""
    size = abs(weight)
    if size < 0.5:
        return "says nothing"
    strength = (
        "weakly" if size < 2 else "fairly" if size < 5 else "strongly" if size < 10 else "very strongly"
    )
    return f"{strength} {'for' if weight > 0 else 'against'}"


def odds_words(weight: float) -> str:
    """The same weight as odds: "about 300 times likelier", "about 4 times less likely"."""
    times = 2 ** min(abs(weight), 60)
    if times < 1.5:
        return "makes no difference"
    digits = max(0, math.floor(math.log10(times)))
    rounded = round(times) if times < 10 else round(times / 10**digits) * 10**digits
    if rounded >= 1_000_000:
        return "over a million times " + ("likelier" if weight > 0 else "less likely")
    return f"about {rounded:,} times {'likelier' if weight > 0 else 'less likely'}"
