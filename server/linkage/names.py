"""What is known of names: spellings of one name, short forms, and how names sound.

Three codes of a word, from fine to coarse:
- `canonical`: the name that stands for all spellings of it in `data/variants.txt`, else the word itself;
- `sound`: what is heard, vowels kept: two words with one sound are taken for one name;
- `block_code`: an integer for blocking, equal for spellings, short forms and most slips of the ear.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from importlib import resources
from itertools import islice
from zlib import crc32

WORD_CACHE = 1 << 15
"""Words that each memory of words holds: the names that all but a few children bear. A process keeps some ten such
memories, so that twice as many words would cost it 40 MB more, and save hardly any work."""


def words_of(text: str) -> frozenset[str]:
    """The set of words of a text."""
    return frozenset(text.split())


# Names that open many boys' and girls' full names in one family: what follows is the name they go by.
LEADING = words_of(
    "mohammed abdul abd syed sheikh md mst mosammat musammat haji sri shri raja begum bibi thi van"
)
# Words between or after names that do not tell families apart.
PARTICLES = words_of("al el ul ud bin ibn bint binti de da do dos das del della di du la le van von der den")
SHARED_FAMILY = words_of("begum bibi khatun kaur singh bano")


def _lines(name: str) -> list[str]:
    text = resources.files("server.linkage").joinpath("data").joinpath(name).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _read_variants() -> dict[str, str]:
    table: dict[str, str] = {}
    for line in _lines("variants.txt"):
        words = line.split()
        table.update((word, words[0]) for word in words)
    return table


VARIANTS: dict[str, str] = _read_variants()


def _read_short_forms() -> dict[str, frozenset[str]]:
    """Short form (canonical) -> the full names (canonical) it may stand for."""
    table: dict[str, set[str]] = {}
    for line in _lines("short_forms.txt"):
        full, shorts = line.split(":")
        long_name = VARIANTS.get(full, full)
        for word in shorts.split():
            table.setdefault(VARIANTS.get(word, word), set()).add(long_name)
    return {short: frozenset(longs - {short}) for short, longs in table.items()}


SHORT_FORMS: dict[str, frozenset[str]] = _read_short_forms()
_NO_NAMES: frozenset[str] = frozenset()
NOT_NAMES: frozenset[str] = frozenset(_lines("not_names.txt"))
ABBREVIATIONS: dict[str, str] = dict(line.split() for line in _lines("abbreviations.txt"))
LISTED: frozenset[str] = frozenset(VARIANTS).union(
    SHORT_FORMS, *SHORT_FORMS.values(), *(line.split() for line in _lines("given_names.txt"))
)


def canonical(word: str) -> str:
    """The name that stands for every spelling of this word's name."""
    return VARIANTS.get(word, word)


def is_short_form(one: str, other: str) -> bool:
    """Whether two canonical names may be short and full form, or two short forms, of one name."""
    return stand_for_one(one, SHORT_FORMS.get(one, _NO_NAMES), other, SHORT_FORMS.get(other, _NO_NAMES))


def stand_for_one(one: str, fulls: frozenset[str], other: str, others: frozenset[str]) -> bool:
    """The same, with the names that each of the two may be short for."""
    # Two short forms of one name agree only where each has no other (Liz and Betty; not Amy and Mia).
    return other in fulls or one in others or (len(fulls) == 1 and fulls == others)


_GOD = re.compile("^(?:oluwa|olu|chukwu)(?=.{4})")


def without_god(name: str) -> str:
    """A Yoruba or Igbo name without the name of God that opens it, which those who bear it leave out: Oluwafunmilayo
    is Funmilayo, Chukwuebuka is Ebuka. Any other name is itself."""
    return canonical(_GOD.sub("", name)) if name[:3] in ("olu", "chu") else name


def _roots() -> dict[str, str]:
    """Each listed name -> one name that stands for it and for its short forms, where those are few.

    Joining short forms to every full name would chain most English names into one block, so a short form
    joins only when it belongs to one name; the others are found by the rest of the blocking keys.
    """
    roots: dict[str, str] = {}
    for short, fulls in SHORT_FORMS.items():
        if len(fulls) == 1 and short not in VARIANTS:
            (full,) = fulls
            roots[short] = full
    return roots


_ROOTS = _roots()

# In this order: letters without which a rule says nothing, the rule (None: these very letters), and what is heard.
_SOUNDS = [
    (letters, re.compile(pattern) if pattern else None, heard)
    for letters, pattern, heard in (
        ("n", "^[kgp]n", "n"),
        ("wr", "^wr", "r"),
        ("x", "^x(?=[aeiou])", "h"),  # Somali x is a strong h
        ("c", "^c(?=[bdfgjmnpqstvz]|abd)", ""),  # Somali c is the Arabic ayn
        ("x", "(?<=[aiueo]{2})x", "h"),
        ("tch", "", "C"),
        ("sz", "", "S"),
        ("h", "sc?h|zh", "S"),
        ("cz", "", "C"),
        ("ch", "", "C"),
        ("ph", "", "f"),
        ("ck", "", "k"),
        ("kh", "", "k"),
        ("q", "qu?", "k"),
        ("gh", "gh(?=[^aeiou]|$)", ""),
        ("h", "([tdbgjl])h", r"\1"),
        ("d", "d[jz]", "j"),
        ("t", "t[zs]", "s"),
        ("c", "c(?=[eiy])", "s"),
        ("c", "", "k"),
        ("x", "", "ks"),
        ("aw", "", "au"),
        ("w", "", "v"),
        ("z", "", "s"),
        ("o", "o[oue]?", "u"),
        ("", "e[eaiy]?|ie|a[iy]|y", "i"),
        ("h", "(?<=.)h", ""),
    )
]
_STEADY = frozenset("blmnr")
"""Letters that are heard wherever they are written, and no others are heard as one of them."""
_REPEATED = re.compile(r"(.)\1+")
_LONG_VOWELS = str.maketrans({"y": "i"})
_COARSE = str.maketrans({"d": "t", "b": "p", "g": "k", "v": "f", "j": "C", "m": "n", "S": "s"})
_VOWELS = re.compile("[aiu]")


@lru_cache(WORD_CACHE)
def sound(word: str) -> str:
    """What is heard of a word in Latin letters; any other word is its own sound."""
    if not word.isascii() or not word.isalpha():
        return word
    heard = word
    for letters, pattern, by in _SOUNDS:
        if letters in heard:
            heard = pattern.sub(by, heard) if pattern else heard.replace(letters, by)
    return _REPEATED.sub(r"\1", heard) or word


def spelling(word: str) -> str:
    """A word with long vowels and double letters written short: Tasneem and Tasnim are one, Dean is not Deen."""
    if not word.isascii():
        return word
    short = word.replace("ee", "i").replace("oo", "u").translate(_LONG_VOWELS)
    return _REPEATED.sub(r"\1", short)


@lru_cache(WORD_CACHE)
def skeleton(word: str) -> str:
    """The consonants of a sound, neighbours merged (d and t, m and n): five at most."""
    heard = sound(word)
    if not heard.isascii():
        return heard
    heard = heard.translate(_COARSE)
    first = "a" if heard[:1] in "aiu" else heard[:1]
    bones = _REPEATED.sub(r"\1", first + _VOWELS.sub("", heard[1:]))
    return bones[:5] if len(bones) > 2 else bones + "." + "".join(_VOWELS.findall(heard))[:2]


def remember(words: Iterable[str]) -> None:
    """Work out the sounds of these words now, so that the first notes of the day do not wait for them."""
    for word in islice(words, WORD_CACHE // 2):
        compared_by(word)
        block_code(word)


ComparedBy = tuple[str, str, frozenset[str], bool, str, str, str]


@lru_cache(WORD_CACHE)
def compared_by(word: str) -> ComparedBy:
    """What comparing a word needs of it: its name, that without the name of God, the names that it may be short for,
    whether it is listed, and of the name the sound, the spelling where the word is listed, and the skeleton."""
    name, listed = canonical(word), word in LISTED
    return (
        name,
        without_god(name),
        SHORT_FORMS.get(name, _NO_NAMES),
        listed,
        sound(name),
        spelling(name) if listed else "",
        skeleton(name),
    )


def may_sound_alike(one: str, other: str) -> bool:
    """Whether two words in Latin letters may have one sound: a look at letters, for words that are seen once."""
    return _STEADY.intersection(one) == _STEADY.intersection(other)


@lru_cache(WORD_CACHE)
def block_code(word: str) -> int:
    """A 32-bit code shared by the spellings of a name, the short forms that are its alone, and misspellings
    that leave the consonants alone."""
    name = VARIANTS.get(word, word)
    return crc32(skeleton(_ROOTS.get(name, name)).encode("utf-8", "surrogatepass"))
