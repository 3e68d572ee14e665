"""British postcodes as people write them: O for 0, I for 1, no space, half of one, none at all."""

from __future__ import annotations

import re
from functools import lru_cache

from server.linkage.names import words_of

AREAS = words_of(
    "AB AL B BA BB BD BH BL BN BR BS BT CA CB CF CH CM CO CR CT CV CW DA DD DE DG DH DL DN DT DY E EC EH EN EX FK "
    "FY G GL GU GY HA HD HG HP HR HS HU HX IG IM IP IV JE KA KT KW KY L LA LD LE LL LN LS LU M ME MK ML N NE NG NN "
    "NP NR NW OL OX PA PE PH PL PO PR RG RH RM S SA SE SG SK SL SM SN SO SP SR SS ST SW SY TA TD TF TN TQ TR TS TW "
    "UB W WA WC WD WF WN WR WS WV YO ZE"
)
"""The letters that a British postcode opens with."""

_NOT_CODE = re.compile(r"[^A-Z0-9]+")
_DISTRICT = re.compile(r"[0-9][0-9A-Z]?")
_INWARD = re.compile(r"[0-9][A-Z]{2}")
_AS_DIGIT = str.maketrans("OILSBZ", "011582")
_AS_LETTER = str.maketrans("01582", "OISBZ")


@lru_cache(1 << 14)
def postcode_of(text: str) -> tuple[str, str]:
    """(whole postcode, outward half), "" for what is not known. A foreign code is whole and has no outward
    half; codes that stand for "no fixed abode" (ZZ99) and rows of one digit are nothing."""
    code = _NOT_CODE.sub("", text.upper())
    if code.startswith("ZZ99") or len(set(code)) < 2:
        return "", ""
    if 5 <= len(code) <= 7:
        inward = code[-3].translate(_AS_DIGIT) + code[-2:].translate(_AS_LETTER)
        if _INWARD.fullmatch(inward) and (outward := _outward(code[:-3])):
            return outward + inward, outward
    if 2 <= len(code) <= 4 and (outward := _outward(code)):
        return "", outward
    return (code, "") if 3 <= len(code) <= 10 and any(c.isdigit() for c in code) else ("", "")


def _outward(code: str) -> str:
    """The outward half, put right, or "". Where both readings are possible (E1, EI) an area that exists wins."""
    for length in (2, 1):
        area, district = code[:length].translate(_AS_LETTER), code[length:]
        if area not in AREAS or not 1 <= len(district) <= 2:
            continue
        district = district[0].translate(_AS_DIGIT) + district[1:].replace("O", "0").replace("I", "1")
        if _DISTRICT.fullmatch(district):
            return area + district
    return ""
