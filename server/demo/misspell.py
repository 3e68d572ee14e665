"""How names, dates and addresses go wrong between a child, an officer's ear and a phone's keyboard."""

import unicodedata
from random import Random

from server.demo.draw import chance, pick
from server.demo.names import spellings

_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBOURS = {
    letter: tuple(row[max(0, place - 1) : place] + row[place + 1 : place + 2])
    for row in _KEYBOARD
    for place, letter in enumerate(row)
}

_HEARD_AS = (
    ("ph", "f"), ("f", "ph"), ("ck", "k"), ("k", "c"), ("ee", "i"), ("ie", "y"), ("y", "i"),
    ("ei", "ai"), ("ai", "ay"), ("ou", "oo"), ("oo", "u"), ("sh", "ch"), ("ch", "sh"), ("th", "t"),
    ("kh", "k"), ("gh", "g"), ("w", "v"), ("v", "w"), ("z", "s"), ("s", "z"), ("x", "ks"), ("j", "y"),
    ("dh", "d"), ("bh", "b"), ("q", "k"), ("aa", "a"), ("a", "e"), ("e", "a"), ("i", "e"), ("o", "u"),
    ("u", "o"), ("ll", "l"), ("nn", "n"), ("tt", "t"), ("rr", "r"), ("c", "s"), ("b", "p"), ("d", "t"),
    ("m", "n"),
)  # fmt: skip
"""What one sound is written as by somebody who only heard it."""

_PLAIN = str.maketrans("łŁ\u0131øØßđĐ", "lLioOsdD")
"""Letters that Unicode does not take apart into a plain letter and a mark."""

_SHORTENED = {
    "Road": "Rd", "Street": "St", "Avenue": "Ave", "Gardens": "Gdns", "Crescent": "Cres", "Close": "Cl",
    "Court": "Ct", "Terrace": "Terr", "Place": "Pl", "House": "Hse", "Grove": "Gr", "Drive": "Dr",
    "Lane": "La",
}  # fmt: skip


def plain(text: str) -> str:
    """`text` without the marks that a phone's English keyboard hides: "González" -> "Gonzalez"."""
    apart = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def mistyped(word: str, rng: Random) -> str:
    """`word` with one slip of the fingers, seldom on the first letter. Never the same word again."""
    if len(word) < 2:
        return word + word
    place = 0 if chance(rng, 0.08) else 1 + int(rng.random() * (len(word) - 1))
    letter = word[place].lower()
    near = _NEIGHBOURS.get(letter, ())
    kind = rng.random()
    if kind < 0.3 and place + 1 < len(word) and word[place] != word[place + 1]:
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    if kind < 0.55 and len(word) > 3:
        return word[:place] + word[place + 1 :]
    if kind < 0.85 and near:
        other = pick(near, rng)
        return word[:place] + (other.upper() if place == 0 else other) + word[place + 1 :]
    return word[: place + 1] + letter + word[place + 1 :]


def misheard(word: str, rng: Random) -> str:
    """`word` as somebody writes it who has heard it once. Never the same word again."""
    lowered = word.lower()
    rules = [rule for rule in _HEARD_AS if rule[0] in lowered[1:]]
    if not rules:
        return word + "h" if word[-1:] in "aeiou" else word + "e"
    sound, written = pick(rules, rng)
    place = lowered.index(sound, 1)
    return word[:place] + written + word[place + len(sound) :]


def respelt(name: str, rng: Random) -> str:
    """Another spelling of the first word of `name` that has one; `name` itself if none has."""
    parts = name.split(" ")
    for place, part in enumerate(parts):
        others = spellings().get(part)
        if others:
            return " ".join([*parts[:place], pick(others, rng), *parts[place + 1 :]])
    return name


def can_be_respelt(name: str) -> bool:
    return any(part in spellings() for part in name.split(" "))


def swapped_date(iso: str) -> str | None:
    """Day and month the other way round, or None where that gives no date or the same one."""
    year, month, day = iso.split("-")
    return f"{year}-{day}-{month}" if int(day) <= 12 and day != month else None


def mistyped_date(iso: str, rng: Random) -> str:
    """A date one step off in its year, month or day, and still a date."""
    year, month, day = (int(part) for part in iso.split("-"))
    step = 1 if chance(rng, 0.5) else -1
    roll = rng.random()
    if roll < 0.25:
        year += step
    elif roll < 0.5:
        month = 2 if month == 1 else month - 1
    else:
        day = day + step if 1 < day < 28 else 11
    return f"{year:04d}-{month:02d}-{min(day, 28):02d}"


def loose_address(address: str, rng: Random) -> str:
    """An address as one writes it down at a door: shortened words, the flat or the block left out."""
    roll = rng.random()
    if roll < 0.45:
        return " ".join(_SHORTENED.get(part, part) for part in address.split(" "))
    if roll < 0.65 and ", " in address:
        return address.partition(", ")[2]
    if roll < 0.75:
        return address.lower()
    return address


def loose_postcode(postcode: str, rng: Random) -> str:
    """A postcode without its space, in small letters, or the outward part alone."""
    roll = rng.random()
    if roll < 0.4:
        return postcode.replace(" ", "")
    if roll < 0.6:
        return postcode.lower()
    return postcode.split(" ")[0] if roll < 0.75 else postcode
