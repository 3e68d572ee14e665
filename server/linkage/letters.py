"""Letters of other alphabets, and Latin letters that do not decompose, in plain Latin letters.

Used after Unicode's NFKD and case folding, so accents are gone and only base letters remain. The forms are
those a British registrar would most likely have written. Scripts not here keep their own letters: they are
still compared, letter by letter.
"""

from __future__ import annotations


def _table(letters: str, latin: str) -> dict[str, str]:
    """Letter -> Latin form; the forms are parted by spaces, "_" is for a letter that is not written."""
    return dict(zip(letters, latin.split(), strict=True))


_LATIN = _table("øłđðþħıŋœæ", "o l d d th h i n oe ae")

_CYRILLIC = _table(
    "абвгґдеєжзиіїйклмнопрстуфхцчшщъыьэюяђјљњћџѓќѕў",
    "a b v g g d e ye zh z i i i i k l m n o p r s t u f kh ts ch sh shch _ y _ e yu ya "
    "dj j lj nj c dz g k dz u",
)

_GREEK = _table(
    "αβγδεζηθικλμνξοπρσςτυφχψω",
    "a v g d e z i th i k l m n x o p r s s t y f ch ps o",
)

# Arabic and Persian write few vowels: what comes out is a skeleton, good for sound and blocking only.
_ARABIC = _table(
    "اأإآبتثجحخدذرزسشصضطظعغفقكلمنهويىةءؤئپچژگکی",
    "a a i a b t th j h kh d dh r z s sh s d t z a gh f q k l m n h u i a a _ u i p ch zh g k i",
)

_HEBREW = _table(
    "אבגדהוזחטיכךלמםנןסעפףצץקרשת",
    "a b g d h v z ch t y k k l m m n n s a p f ts ts k r sh t",
)

LATIN: dict[int, str] = {
    ord(letter): "" if latin == "_" else latin
    for table in (_LATIN, _CYRILLIC, _GREEK, _ARABIC, _HEBREW)
    for letter, latin in table.items()
}
