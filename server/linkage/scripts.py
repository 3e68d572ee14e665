"""Names in scripts that have no plain table of letters, in Latin letters: the scripts of India, and the rest.

The scripts of India share one layout (ISCII, which Unicode kept: each block has the same sign at the same place), so
that one table reads nine of them. A consonant is read with an "a" unless another vowel or a silencing mark follows,
or the word ends. For all others (Chinese by Pinyin, Korean, Japanese, Ethiopic, Georgian, Armenian, Thai ...) the
package anyascii has a table. What comes out is one reading of several: good enough to be compared by sound. Also here:
a whole name that is written as one word, as in Chinese.
"""

from __future__ import annotations

import re
import unicodedata

from anyascii import anyascii

from server.linkage.names import LISTED

_FIRST, _END, _BLOCK = 0x0900, 0x0D80, 0x80  # Devanagari to Malayalam, by blocks of one layout
_CONSONANT_LETTERS = "k kh g gh ng ch ch j jh n t th d dh n t th d dh n n p f b bh m y r r l l l v sh sh s h"
_VOWEL_LETTERS, _SIGN_LETTERS = "a a i i u u ri li e e e ai o o o au", "a i i u u ri ri e e e ai o o o au"
_CONSONANTS = dict(enumerate(_CONSONANT_LETTERS.split(), 0x15))
_POINTED = {0x15: "q", 0x16: "kh", 0x17: "g", 0x1C: "z", 0x21: "r", 0x22: "rh", 0x2B: "f", 0x2F: "y"}
_VOWELS = dict(enumerate(_VOWEL_LETTERS.split(), 0x05))
_SIGNS = dict(enumerate(_SIGN_LETTERS.split(), 0x3E))
_OTHERS = {0x02: "n", 0x03: "h", 0x4E: "t", 0x70: "n"}
_POINT, _SILENT = 0x3C, 0x4D
_BENGALI_Y = 0x09AF  # read as j, but for where it is pointed or joined to the letter before

# Not here: Latin, Greek, Cyrillic, Hebrew and Arabic letters (`letters`), and signs that are no letters.
_OTHER_SCRIPTS = re.compile("[\u0530-\u058f\u0700-\u1dff\u2c00-\ua63f\ua6a0-\uf8ff\U00010000-\U0003ffff]")


# A name such as McDonald is one.
_TOGETHER = re.compile(
    r"(?!(?:Mc|Mac|De|Di|Du|La|Le|Al|El|Van|Von|Fitz|Abdul)[A-Z])([A-Z][a-z\u00df-\u00ff]{2,})([A-Z][a-z\u00df-\u00ff]{2,})"
)
_CHINESE = re.compile("([\u4e00-\u9fff])([\u4e00-\u9fff]{1,2})")


def run_together(text: str) -> tuple[str, str] | None:
    """Given and family name of a whole name that is written without a blank: LeilaOkonjo, or a Chinese one, which
    begins with the family's. None for what is one name."""
    if chinese := _CHINESE.fullmatch(text):
        return chinese[2], chinese[1]
    both = _TOGETHER.fullmatch(text)
    return (both[1], both[2]) if both and both[2].lower() not in LISTED else None


def in_latin(text: str) -> str:
    """The text with what is written in such a script in Latin letters, and all else as it is."""
    if _OTHER_SCRIPTS.search(text) is None:
        return text
    # Composed: a vowel sign of two parts is one character then, as is a Korean syllable.
    composed = unicodedata.normalize("NFC", text)
    return "".join(
        _other(one) if letters is None else letters
        for one, letters in zip(composed, _indian(composed), strict=True)
    )


def _other(one: str) -> str:
    """A letter or mark as anyascii reads it; what is neither, such as a picture, has no part in a name."""
    is_letter = _OTHER_SCRIPTS.match(one) and unicodedata.category(one)[0] in "LM"
    return anyascii(one) if is_letter else one


def _indian(text: str) -> list[str | None]:
    """What each character is read as where it is of a script of India; None for any other."""
    read: list[str | None] = []
    for at, one in enumerate(text):
        if not _FIRST <= ord(one) < _END:
            read.append(None)
            continue
        place = ord(one) % _BLOCK
        if place in _CONSONANTS:
            read.append(_consonant(text, at, place))
        else:
            read.append(_VOWELS.get(place) or _SIGNS.get(place) or _OTHERS.get(place, ""))
    return read


def _consonant(text: str, at: int, place: int) -> str:
    after = [ord(one) % _BLOCK if _FIRST <= ord(one) < _END else -1 for one in text[at + 1 : at + 3]]
    letters = _CONSONANTS[place]
    if after[:1] == [_POINT]:
        letters, after = _POINTED.get(place, letters), after[1:]
    elif ord(text[at]) == _BENGALI_Y and (at == 0 or ord(text[at - 1]) % _BLOCK != _SILENT):
        letters = "j"
    follows = after[0] if after else -1
    return letters if follows in (-1, _SILENT) or follows in _SIGNS else f"{letters}a"
