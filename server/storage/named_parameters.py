"""`:name` in portable SQL becomes `%(name)s`, the way psycopg spells a parameter, and `?` for SQLite.

SQLite knows names too, but Python's driver asks it for each of them, each time, and makes a text of it: of a statement
with sixteen that is half the time. Each text is translated once and remembered: repositories are written with
constant SQL.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

import msgspec

from server.storage.port import Params

TEXTS_MAX: Final = 4_096
"""Translations kept for each engine. Far more than the server has statements; of a runaway generator of SQL texts the
oldest go."""

_PIECE: Final = re.compile(
    r"""
      '(?:[^']|'')*'                              # a literal
    | "(?:[^"]|"")*"                              # a quoted name
    | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$             # a dollar-quoted body
    | --[^\n]*                                    # a comment
    | /\*.*?\*/                                   # a longer comment
    | ::                                          # a cast
    | (?<![\w:]):(?P<name>[A-Za-z_]\w*)           # a parameter
      (?P<test>\s+IS\s+(?P<not>NOT\s+)?NULL\b)?   # and whether it is absent
    | %                                           # what psycopg would take for one
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


class Translation(msgspec.Struct, frozen=True):
    """A statement for psycopg.

    `null_tests` names the parameters of which the statement asks whether they are NULL. PostgreSQL
    cannot tell the type of a parameter from that question, so the answer is sent in its place.
    """

    text: str
    has_parameters: bool
    null_tests: tuple[str, ...]

    def bound(self, params: Params) -> Params | None:
        """What to hand to psycopg. None where there are no parameters: then it reads no `%`."""
        if not self.has_parameters:
            return None
        if not self.null_tests:
            return params
        answers = {_answer(name): 1 if params.get(name) is None else 0 for name in self.null_tests}
        return {**params, **answers}


class Positional(msgspec.Struct, frozen=True):
    """A statement for SQLite, with a `?` for each parameter, and what takes their values, in that order, from a
    mapping. It raises KeyError for the name of one that is not there."""

    text: str
    values: Callable[[Params], tuple[Any, ...]]


@lru_cache(TEXTS_MAX)
def translated(sql: str) -> Translation:
    """The statement for psycopg."""
    names: set[str] = set()
    tested: set[str] = set()

    def piece(match: re.Match[str]) -> str:
        name = match.group("name")
        if name is None:
            return match.group().replace("%", "%%")
        names.add(name)
        if match.group("test") is None:
            return f"%({name})s"
        tested.add(name)
        return f"(%({_answer(name)})s::int = {0 if match.group('not') else 1})"

    text = _PIECE.sub(piece, sql)
    return Translation(text if names else sql, bool(names), tuple(sorted(tested)))


@lru_cache(TEXTS_MAX)
def positional(sql: str) -> Positional:
    """The statement for SQLite."""
    names: list[str] = []

    def piece(match: re.Match[str]) -> str:
        name = match.group("name")
        if name is None:
            return match.group()
        names.append(name)
        return "?" + (match.group("test") or "")

    text = _PIECE.sub(piece, sql)
    if len(names) > 1:
        return Positional(text, itemgetter(*names))
    if names:
        return Positional(text, lambda params: (params[names[0]],))
    return Positional(sql, lambda params: ())


def _answer(name: str) -> str:
    return f"{name} is null"
