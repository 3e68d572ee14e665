"""On which line of a TOML file is that key? `tomllib` answers values and forgets where they stood.

`places` reads text that `tomllib` has accepted, so it need not judge it: it only keeps count of tables, keys and
elements, and steps over strings and comments. `read_toml` says the line of what has a wrong shape.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
Path = tuple[str | int, ...]
"""The way to a value from the top: keys, and positions (from 0) in arrays."""

_SPACE = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
_STRING = re.compile(
    r'"{3}(?:\\[\s\S]|[^\\])*?"{3,5}|\'{3}[\s\S]*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'',
)
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_VALUE = re.compile(r"[^,\]}\n#]+")


def places(text: str) -> dict[Path, int]:
    """The line (from 1) of every table, key and element of an array, by its path. `text` is valid TOML."""
    return _Reader(text).read()


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    """The line of a value, or of the nearest table around it that is in the text; None for an empty text."""
    known = places(text)
    return next(
        (known[found] for end in range(len(path), -1, -1) if (found := tuple(path[:end])) in known), None
    )


def on_line(text: str, path: Sequence[str | int]) -> str:
    """` on line N`, for a message; empty for an empty text."""
    line = line_of(text, path)
    return f" on line {line}" if line else ""


class WrongShape(ValueError):
    """Something in the text is missing, unknown or of a wrong kind. The message: ` on line N: what`."""


def read_toml(text: str, shape: type[T]) -> T:
    """The text as that shape. Raises `tomllib.TOMLDecodeError`, which knows its line, and `WrongShape`."""
    document = tomllib.loads(text)
    try:
        return msgspec.convert(document, shape)
    except msgspec.ValidationError as error:
        path, message = _path_of(document, shape, str(error))
        raise WrongShape(f"{on_line(text, path)}: {_plainly(message)}") from error


_PLAIN = (
    (
        re.compile(r"Expected `str` matching regex '\^\(\[01\][^']*:[^']*'"),
        "Expected a time of day such as 09:00",
    ),
    (re.compile(r"Expected `str` matching regex '[^']*'"), "Expected a name in another form"),
    (re.compile(r"Expected `(?:int|float)`"), "Expected a number"),
    (re.compile(r"Expected `bool`"), "Expected true or false"),
    (re.compile(r"Expected `str`"), "Expected text in quotes"),
    (re.compile(r"got `str`"), "got text in quotes"),
    (re.compile(r"Object contains unknown field"), "There is no setting"),
    (re.compile(r"Object missing required field"), "There must be a setting"),
    (re.compile(r"Invalid enum value ('[^']*')"), r"\1 is none of the words that may stand here"),
    (re.compile(r"Invalid value ('[^']*')"), r"\1 is none of the words that may stand here"),
    (re.compile(r" - at `\$\.?([^`]*)`$"), r" (\1)"),
)
"""msgspec's words for a program's author, and ours for whoever writes the file."""


def _plainly(message: str) -> str:
    for pattern, words in _PLAIN:
        message = pattern.sub(words, message)
    return message


_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+)\]|(\[\.\.\.\])")
_AT = re.compile(r"`\$([^`]*)`$")
_NAMED = re.compile(r"unknown field `([^`]+)`|Invalid enum value '([^']+)' - at `key`")


def _path_of(document: dict[str, Any], shape: type, message: str) -> tuple[Path, str]:
    """Where a message of msgspec's points to. It says `[...]` for "some key of this table": each is tried alone."""
    at = _AT.search(message)
    path: Path = ()
    for name, number, some in _STEP.findall(at.group(1)) if at else ():
        if some:
            key, message = _wrong_key(document, shape, path, message)
            path = (*path, key)
        else:
            path = (*path, name or int(number))
    named = _NAMED.search(message)
    if named:
        path = (*path, named.group(1) or named.group(2))
    return path, message


def _wrong_key(document: dict[str, Any], shape: type, path: Path, message: str) -> tuple[str, str]:
    """The key of the table at `path` that has the mistake, and the message that says it by name."""
    table: Any = document
    for step in path:
        table = table[step]
    whole = dict(table)
    for key, value in whole.items():
        table.clear()
        table[key] = value
        try:
            msgspec.convert(document, shape)
        except msgspec.ValidationError as error:
            return key, str(error).replace("[...]", f".{key}", 1)
        finally:
            table.clear()
            table.update(whole)
    return "", message


class _Reader:
    """One pass over the text. `at` is the position; lines are counted from the line feeds before it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[Path, int] = {}
        self.arrays: dict[Path, int] = {}
        """How many `[[tables]]` of a name there were so far."""

    def read(self) -> dict[Path, int]:
        table: Path = ()
        self._space()
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._space()
        return self.found

    def _space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def _note(self, path: Path) -> None:
        self.found.setdefault(path, self.text.count("\n", 0, self.at) + 1)

    def _header(self) -> Path:
        start, is_array = self.at, self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        path = self._within(self._keys("]"))
        if is_array:
            number = self.arrays.get(path, -1) + 1
            self.arrays[path] = number
            path = (*path, number)
        after, self.at = self.at + (2 if is_array else 1), start
        for end in range(1, len(path) + 1):
            self._note(path[:end])
        self.at = after
        return path

    def _within(self, keys: list[str]) -> Path:
        """A header's keys as a path: a table below `[[tables]]` belongs to the last of them."""
        path: Path = ()
        for index, key in enumerate(keys):
            path = (*path, key)
            if index < len(keys) - 1 and path in self.arrays:
                path = (*path, self.arrays[path])
        return path

    def _keys(self, end: str) -> list[str]:
        """A dotted key, up to the sign that ends it, which is left in place."""
        keys = []
        while True:
            self._blank()
            match = _BARE.match(self.text, self.at) or _STRING.match(self.text, self.at)
            assert match is not None, "a valid key"
            word = match.group()
            keys.append(word[1:-1] if word[0] in "\"'" else word)
            self.at = match.end()
            self._blank()
            if self.text[self.at] == end:
                return keys
            self.at += 1  # the dot

    def _blank(self) -> None:
        while self.text[self.at] in " \t":
            self.at += 1

    def _pair(self, table: Path) -> None:
        start = self.at
        keys = self._keys("=")
        after, self.at = self.at + 1, start
        path = table
        for key in keys:
            path = (*path, key)
            self._note(path)
        self.at = after
        self._value(path)

    def _value(self, path: Path) -> None:
        self._blank()
        sign = self.text[self.at]
        if sign == "[":
            self._members(path, "]")
        elif sign == "{":
            self._members(path, "}")
        else:
            match = _STRING.match(self.text, self.at) or _VALUE.match(self.text, self.at)
            assert match is not None, "a valid value"
            self.at = match.end()

    def _members(self, path: Path, end: str) -> None:
        """The elements of an array, or the pairs of an inline table."""
        self.at += 1
        self._space()
        number = 0
        while self.text[self.at] != end:
            if end == "]":
                self._note((*path, number))
                self._value((*path, number))
                number += 1
            else:
                self._pair(path)
            self._space()
        self.at += 1
