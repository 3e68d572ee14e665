"""Which level two records reach in each comparison. Every function here is symmetric in its two sides.

Comparisons of names are dear (microseconds); the Scorer remembers them.
"""

from __future__ import annotations

from functools import lru_cache

from rapidfuzz.distance.JaroWinkler import similarity as jaro_winkler
from rapidfuzz.distance.OSA import distance as osa
from rapidfuzz.fuzz import token_set_ratio

from server.linkage import levels as lv
from server.linkage.blocking import main_words
from server.linkage.counts import TermFrequencies
from server.linkage.names import (
    LEADING,
    PARTICLES,
    SHARED_FAMILY,
    SHORT_FORMS,
    WORD_CACHE,
    canonical,
    compared_by,
    is_short_form,
    may_sound_alike,
    stand_for_one,
    words_of,
)
from server.linkage.standardise import Record

REMEMBERED_MAX = 50_000  # pairs of guardians
REMEMBERED_WORDS_MAX = (
    400_000  # pairs of words of names, about 60 MB: most notes bring names that came before
)

# How two single words compare.
W_SAME, W_VARIANT, W_SHORT, W_TYPO, W_CLOSE, W_INITIAL, W_DIFFER = range(7)

_SLAVIC_FEMALE = ("ova", "eva", "ina", "ska", "aya", "cka", "dzka")
_GIVEN_BY_WORD = {
    W_SAME: lv.G_EXACT,
    W_VARIANT: lv.G_VARIANT,
    W_SHORT: lv.G_SHORT,
    W_TYPO: lv.G_TYPO,
    W_CLOSE: lv.G_CLOSE,
    W_INITIAL: lv.G_INITIAL,
    W_DIFFER: lv.G_DIFFER,
}
_FAMILY_BY_WORD = {
    W_SAME: lv.F_EXACT,
    W_VARIANT: lv.F_VARIANT,
    W_SHORT: lv.F_CLOSE,
    W_TYPO: lv.F_TYPO,
    W_CLOSE: lv.F_CLOSE,
    W_INITIAL: lv.F_CLOSE,
    W_DIFFER: lv.F_DIFFER,
}

# Words that open a nickname.
_NICKNAMES = words_of("lil little big young old baby")

Named = tuple[
    int, str
]  # (level, the name whose rarity counts, "" for none; of a slip, only that it is common)


def slip_between(one: str, other: str) -> bool:
    """Whether two words are as far apart as a slip of the pen or the key: the shorter, the nearer."""
    shortest = min(len(one), len(other))
    if shortest < 4:
        return False
    limit = 1 if shortest < 8 else 2
    if osa(one, other, score_cutoff=limit) <= limit:
        return True
    return ("rn" in one or "rn" in other) and one.replace("rn", "m") == other.replace("rn", "m")  # scanned


class Comparer:
    """Compares names in the light of how often they occur, and remembers."""

    def __init__(self, counts: TermFrequencies) -> None:
        self._counts = counts
        self._guardian: dict[tuple[str, str], int] = {}
        self._words: dict[tuple[str, str], int] = {}

    def words(self, one: str, other: str) -> int:
        """How two words of names compare (W_ constants)."""
        if one == other:
            return W_SAME if len(one) > 1 else W_INITIAL
        pair = (one, other) if one < other else (other, one)
        known = self._words.get(pair)
        if known is None:
            if len(self._words) >= REMEMBERED_WORDS_MAX:
                self._words.clear()
            known = self._words[pair] = self._compare_words(*pair)
        return known

    def _compare_words(self, one: str, other: str) -> int:
        """The same for two words in alphabetical order that differ."""
        if len(one) == 1 or len(other) == 1:
            return W_INITIAL if one[0] == other[0] else W_DIFFER
        first, plain, fulls, listed, sound, spelling, bones = compared_by(one)
        second, other_plain, others, other_listed, other_sound, other_spelling, other_bones = compared_by(
            other
        )
        if first == second:
            return W_VARIANT
        if (fulls or others) and stand_for_one(first, fulls, second, others):
            return W_SHORT
        if (plain != first or other_plain != second) and (
            plain == other_plain or is_short_form(plain, other_plain)
        ):
            return W_SHORT
        alike = spelling == other_spelling if listed and other_listed else sound == other_sound
        if alike and len(one) > 2 and len(other) > 2:
            return W_VARIANT
        if len(one) == 3 == len(other) and one[0] == other[0] and osa(one, other, score_cutoff=1) <= 1:
            return W_CLOSE
        if slip_between(one, other):
            # Two names that people bear and that differ by a letter are two names: twins often have such.
            ours, theirs = self._counts.is_name(one), self._counts.is_name(other)
            apart = (ours and theirs) or one[0] != other[0] or _two_sexes(one, other)
            return W_CLOSE if apart else W_TYPO
        if other.startswith(one) and len(one) > 2:
            return W_CLOSE  # the beginning of a longer name: perhaps its short form
        if bones == other_bones or jaro_winkler(one, other, score_cutoff=0.86) > 0:
            return W_CLOSE
        return W_DIFFER

    def given(self, one: str, other: str) -> Named:
        """Level of the given names; both are known."""
        if one > other:
            one, other = other, one
        if " " not in one and " " not in other and self.words(one, other) == W_DIFFER:
            return lv.G_DIFFER, ""  # what most pairs are
        ours, our_names, our_word = _parts(one)
        theirs, their_names, their_word = _parts(other)
        if our_word == their_word and len(one) > 1:
            return lv.G_EXACT, canonical(ours[0])
        level = _GIVEN_BY_WORD[self.words(ours[0], theirs[0])]
        if level <= lv.G_SHORT and len(ours) > 1 < len(theirs) and self._go_on_differently(ours, theirs):
            return lv.G_PART, canonical(ours[0])
        if level == lv.G_SHORT:
            first, second = canonical(ours[0]), canonical(theirs[0])
            # Of two short forms of one name (Jude and Judy) either may be a name of its own.
            both = ((first, second), (second, first))
            shorts = [one for one, full in both if full in SHORT_FORMS.get(one, ())] or [first, second]
            own = any(map(self._counts.is_own_name, shorts))
            return (lv.G_SHORT_OWN if own else level), max(first, second, key=len)
        if level <= lv.G_VARIANT:
            return level, self._commoner_given(ours[0], theirs[0])
        shared = our_names & their_names
        telling = shared - LEADING
        if len(shared) > 1 or (len(ours) != len(theirs) and self._one_word(our_word, their_word)):
            return lv.G_VARIANT, min(telling or shared or [self._commoner_given(ours[0], theirs[0])])
        if level == lv.G_TYPO:
            return level, self._commoner_given(ours[0], theirs[0])
        if telling:
            return lv.G_OTHER, min(telling)
        if shared:
            return lv.G_PART, min(shared)
        if len(ours) != len(theirs) and slip_between(our_word, their_word):
            return lv.G_TYPO, ""  # a space put in or left out, and a letter wrong
        return level, ""

    def family(self, one: str, other: str) -> Named:
        """Level of the family names; both are known."""
        if one > other:
            one, other = other, one
        if " " not in one and " " not in other:
            if one == other:
                return lv.F_EXACT, canonical(one)
            if self.words(one, other) == W_DIFFER:
                return lv.F_DIFFER, ""  # what most pairs are
        ours, theirs = _telling(one), _telling(other)
        spaceless = one.replace(" ", "") == other.replace(" ", "")
        if spaceless or ours == theirs or "".join(ours) == "".join(theirs) or sorted(ours) == sorted(theirs):
            return lv.F_EXACT, self._rarest(ours)
        if len(ours) == 1 and len(theirs) == 1:
            if _slavic_pair(ours[0], theirs[0]) or _irish_pair(ours[0], theirs[0]):
                return lv.F_VARIANT, canonical(ours[0])
            level = _FAMILY_BY_WORD[self.words(ours[0], theirs[0])]
            if level not in (lv.F_VARIANT, lv.F_TYPO):
                return level, ""
            return level, _commoner(self._counts.family, canonical(ours[0]), canonical(theirs[0]))
        shared = {canonical(w) for w in ours} & {canonical(w) for w in theirs}
        if len(shared) > 1 or len(shared) == len(set(ours)) == len(set(theirs)):
            return lv.F_VARIANT, self._rarest(sorted(shared))
        if len(ours) != len(theirs) and self._one_word("".join(ours), "".join(theirs)):
            return lv.F_VARIANT, self._rarest([*ours, *theirs])
        if shared:
            return lv.F_HALF, self._rarest(sorted(shared))
        if slip_between("".join(ours), "".join(theirs)):
            return lv.F_TYPO, ""
        nearest = min(self.words(a, b) for a in ours for b in theirs)
        return (lv.F_CLOSE if nearest <= W_TYPO else lv.F_DIFFER), ""

    def _go_on_differently(self, ours: list[str], theirs: list[str]) -> bool:
        """Whether two full names that open alike are two names: Xin Yi and Xin Yu, Maria Elena and Maria Sofia, as
        brothers and sisters often have. Initials tell nothing, nor do names that open many full names."""
        rest = [
            [word for word in words[1:] if len(word) > 1 and canonical(word) not in LEADING]
            for words in (ours, theirs)
        ]
        return all(rest) and all(self.words(a, b) >= W_CLOSE for a in rest[0] for b in rest[1])

    def _one_word(self, one: str, other: str) -> bool:
        """Whether two names of not as many words are one name once each is written as one word (Abdul Rahman and
        Abdurrahman). Such words are seen once, so what tells them apart at a glance comes first."""
        if not may_sound_alike(canonical(one), canonical(other)):
            return False
        return self.words(one, other) <= W_VARIANT

    def _commoner_given(self, one: str, other: str) -> str:
        return _commoner(self._counts.given, canonical(one), canonical(other))

    def _rarest(self, words: list[str]) -> str:
        count = self._counts.family.get
        return min((canonical(w) for w in words), key=lambda w: (count(w, 0), w))

    def alias(self, left: Record, right: Record) -> str:
        """The name that an alias of one record shares with the other's given names or aliases, or ""."""
        families = {canonical(w) for w in f"{left.family} {right.family}".split()}
        ours, theirs = _also_called(left, families), _also_called(right, families)
        called_left, called_right = _called(left), _called(right)
        shared = (ours & theirs) | (ours & called_right) | (theirs & called_left)
        if not shared:
            shared = (_main_names(ours) & called_right) | (_main_names(theirs) & called_left)
        return min(shared, default="")

    def guardian(self, one: str, other: str) -> int:
        """Level of the guardian's name; both are known."""
        pair = (one, other) if one < other else (other, one)
        known = self._guardian.get(pair)
        if known is None:
            if len(self._guardian) >= REMEMBERED_MAX:
                self._guardian.clear()
            known = self._guardian[pair] = self._compare_guardian(*pair)
        return known

    def _compare_guardian(self, one: str, other: str) -> int:
        ours, theirs = one.split(), other.split()
        nearest = min([self.words(ours[0], b) for b in theirs])
        if nearest == W_DIFFER and len(ours) > 1 and len(theirs) > 1:
            return lv.U_DIFFER
        last = any(self.words(ours[-1], b) <= W_TYPO for b in theirs)
        if nearest == W_INITIAL:
            return lv.U_NEAR if last else lv.U_DIFFER
        first = nearest <= W_TYPO
        if min(len(ours), len(theirs)) < 2:
            return lv.U_NEAR if first or last else lv.U_DIFFER
        # A family name alone says nothing here: it is the child's own, compared already.
        if not first:
            return lv.U_DIFFER
        return lv.U_SAME if last else lv.U_NEAR

    def school(self, one: str, other: str) -> int:
        """Level of the school; both are known."""
        if one == other:
            return lv.I_SAME
        return lv.I_NEAR if token_set_ratio(*sorted((one, other)), score_cutoff=88) else lv.I_DIFFER


@lru_cache(WORD_CACHE)
def _parts(given: str) -> tuple[list[str], frozenset[str], str]:
    """Words of the given names, the one the child goes by first; the names that these are; and all in one word."""
    words = main_words(given)
    return words, frozenset([canonical(w) for w in words if len(w) > 1]), given.replace(" ", "")


def _commoner(counts: dict[str, int], one: str, other: str) -> str:
    """The commoner of two spellings: that the other is rare is only that it is misspelt."""
    return max(one, other, key=lambda name: (counts.get(name, 0), name))


def _called(record: Record) -> set[str]:
    return {canonical(w) for w in record.given.split() if len(w) > 1}


def _also_called(record: Record, families: set[str]) -> set[str]:
    """Names that stand for given names in the aliases: whole, or without a family name ("Jay Thompson")."""
    names = set()
    for alias in record.aliases.split("|") if record.aliases else ():
        words = [canonical(w) for w in alias.split()]
        if len(words) > 1 and words[-1] in families:
            words.pop()
        name = " ".join(words)
        if len(name) > 1:
            names.add(name)
    return names


def _main_names(names: set[str]) -> set[str]:
    """The name that each alias of several words is gone by: "Mohammed Ali" is an Ali, "Lil Jay" is nobody."""
    several = (name for name in names if " " in name and name.split()[0] not in _NICKNAMES)
    return {main_words(name)[0] for name in several}


def _two_sexes(one: str, other: str) -> bool:
    """Malik and Malika: an a at the end makes another name, and is seldom a slip. Both in alphabetical order."""
    return other in (one + "a", one + "ah")


def _telling(family: str) -> list[str]:
    words = [w for w in family.split() if w not in PARTICLES] or family.split()
    return [w for w in words if canonical(w) not in SHARED_FAMILY] or words


def _slavic_pair(one: str, other: str) -> bool:
    shorter, longer = (one, other) if len(one) < len(other) else (other, one)
    if len(longer) < 5 or not longer.endswith(_SLAVIC_FEMALE):
        return False
    return longer == shorter + "a" or (longer[:-1] == shorter[:-1] and shorter.endswith(("i", "y")))


def _irish_pair(one: str, other: str) -> bool:
    """O'Sullivan and Sullivan, which families of one name write both ways."""
    shorter, longer = (one, other) if len(one) < len(other) else (other, one)
    return len(shorter) > 4 and longer == "o" + shorter


def born(one: Record, other: Record) -> int:
    """Level of the date of birth, or of an age against a date."""
    a, b = one.born, other.born
    if a and b:
        return _dates(a, b)
    if a and other.born_to:
        return _age(a, a, other.born_from, other.born_to)
    if b and one.born_to:
        return _age(b, b, one.born_from, one.born_to)
    if one.born_to and other.born_to:
        return _age(one.born_from, one.born_to, other.born_from, other.born_to)
    return lv.MISSING_LEVEL


def _dates(a: int, b: int) -> int:
    if a == b:
        return lv.B_JANUARY if a % 10000 == 101 else lv.B_EXACT
    year_a, year_b = a // 10000, b // 10000
    month_a, month_b, day_a, day_b = a // 100 % 100, b // 100 % 100, a % 100, b % 100
    if year_a == year_b and month_a == day_b and day_a == month_b:
        return lv.B_SWAPPED
    if month_a == month_b and day_a == day_b and abs(year_a - year_b) == 1:
        return lv.B_YEAR
    # One wrong digit leaves two of the three parts alone.
    parts_alike = (year_a == year_b) + (month_a == month_b) + (day_a == day_b)
    if parts_alike == 2 and osa(f"{a:08d}", f"{b:08d}", score_cutoff=1) <= 1:
        return lv.B_DIGIT
    if year_a == year_b and 101 in (a % 10000, b % 10000):
        return lv.B_YEAR_ONLY
    if year_a == year_b and month_a == month_b:
        return lv.B_MONTH
    return lv.B_SAME_YEAR if year_a == year_b else lv.B_DIFFER


def _age(from_a: int, to_a: int, from_b: int, to_b: int) -> int:
    """Years between two spans of dates; written as integers, a year is 10000."""
    gap = max(from_a - to_b, from_b - to_a)
    if gap <= 0:
        return lv.B_AGE
    if gap <= 10000:
        return lv.B_AGE_1
    return lv.B_AGE_2 if gap <= 20000 else lv.B_AGE_FAR


def code(one: str, other: str) -> int:
    """Level of two phone numbers, UPNs or NHS numbers; both are known."""
    if one == other:
        return lv.I_SAME
    return lv.I_NEAR if osa(one, other, score_cutoff=1) <= 1 else lv.I_DIFFER
