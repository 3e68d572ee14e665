"""`:name` in portable SQL becomes `%(name)s`, the way psycopg spells a parameter.

Each text is translated once and remembered: repositories are written with constant SQL.
"""

from __future__ import annotations

import re
from typing import Final

TEXTS_MAX: Final = 4_096
"""Translations kept. Far more than the server has statements; a runaway generator of SQL texts
empties the memory instead of filling the machine's."""

_PIECE: Final = re.compile(
    r"""
      '(?:[^']|'')*'                              # a literal
    | "(?:[^"]|"")*"                              # a quoted name
    | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$             # a dollar-quoted body
    | --[^\n]*                                    # a comment
    | /\*.*?\*/                                   # a longer comment
    | ::                                          # a cast
    | (?<![\w:]):(?P<name>[A-Za-z_]\w*)           # a parameter
    | %                                           # what psycopg would take for one
    """,
    re.VERBOSE | re.DOTALL,
)

_known: dict[str, tuple[str, bool]] = {}


def translated(sql: str) -> tuple[str, bool]:
    """The text for psycopg, and whether it has parameters.

    Without parameters the text is left as it is, because psycopg then reads no `%` in it.
    """
    found = _known.get(sql)
    if found is None:
        if len(_known) >= TEXTS_MAX:
            _known.clear()
        found = _known[sql] = _translate(sql)
    return found


def _translate(sql: str) -> tuple[str, bool]:
    names = 0

    def piece(match: re.Match[str]) -> str:
        nonlocal names
        name = match.group("name")
        if name is None:
            return match.group().replace("%", "%%")
        names += 1
        return f"%({name})s"

    text = _PIECE.sub(piece, sql)
    return (text, True) if names else (sql, False)
