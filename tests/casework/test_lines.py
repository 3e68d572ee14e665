"""Lines of TOML: every value of every file that we ship, and what a reader of TOML may trip over."""

import importlib.resources
import pathlib
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from server.casework.lines import Path, line_of, places

ROOT = pathlib.Path(__file__).parents[2]
SHIPPED = [
    ROOT / "pyproject.toml",
    *(ROOT / "server" / "casework" / name for name in ("rules.toml", "boroughs.toml")),
    ROOT / "server" / "access" / "policy.toml",
]

ODD = '''# [not.a.table]
"quoted key" = 1
a.b = "x = 2 # no comment" # one
text = """
[no.table]
c = 1
"""
raw = \'\'\'
it = "raw"
\'\'\'
many = [
    1, 2, # three
    { x = "]", y = [ "}", 5 ] }, # four
    "six",
]

[[rows]]
n = 1
[rows.inner]
m = 2
[[rows]]
n = 3
[rows.inner]
m = 4
[[rows.deep]]
k = 5
'''


def walk(value: Any, path: Path = ()) -> Iterator[Path]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from walk(inner, (*path, index))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_every_value_of_our_own_files_has_a_line(file: pathlib.Path) -> None:
    text = file.read_text(encoding="utf-8")
    known, lines = places(text), text.splitlines()
    for path in walk(tomllib.loads(text)):
        named = [step for step in path if isinstance(step, str)]
        assert path in known, path
        if isinstance(path[-1], str):
            assert named[-1] in lines[known[path] - 1], path


@pytest.mark.parametrize(
    ("path", "holds"),
    [
        (("quoted key",), '"quoted key"'),
        (("a", "b"), "a.b"),
        (("text",), "text ="),
        (("raw",), "raw ="),
        (("many", 1), "1, 2"),
        (("many", 2, "y", 1), "{ x"),
        (("many", 3), '"six"'),
        (("rows", 0, "n"), "n = 1"),
        (("rows", 0, "inner", "m"), "m = 2"),
        (("rows", 1, "n"), "n = 3"),
        (("rows", 1, "inner", "m"), "m = 4"),
        (("rows", 1, "deep", 0, "k"), "k = 5"),
    ],
)
def test_odd_text(path: Path, holds: str) -> None:
    assert set(walk(tomllib.loads(ODD))) <= set(places(ODD))
    line = line_of(ODD, path)
    assert line is not None
    assert holds in ODD.splitlines()[line - 1]


def test_what_is_not_there_is_on_the_line_of_what_is_around_it() -> None:
    assert line_of(ODD, ("rows", 1, "inner", "q")) == ODD.splitlines().index("m = 4")
    assert line_of(ODD, ("nothing",)) is None
    assert line_of("", ("nothing",)) is None


def test_the_force_says_the_line_too() -> None:
    from server.casework.boroughs import BoroughsError, load_force

    text = importlib.resources.files("server.casework").joinpath("boroughs.toml").read_text("utf-8")
    wrong = text.replace('"E09000028"', '"SOUTHWARK"', 1)
    line = 1 + next(n for n, now in enumerate(wrong.splitlines()) if "SOUTHWARK" in now)
    with pytest.raises(BoroughsError, match=f"on line {line}: .*code"):
        load_force(wrong)
