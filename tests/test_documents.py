"""What the READMEs and CONTRIBUTING name is there: commands with their options, benches, make targets, files, rooms."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from client_stub.cli import app as phone_app
from server.cli import make_app

ROOT = Path(__file__).parents[1]
README, CONTRIBUTING, BENCH = (
    (ROOT / name).read_text("utf-8") for name in ("README.md", "CONTRIBUTING.md", "tests/bench/README.md")
)
ALL = README + CONTRIBUTING + BENCH
PROGRAMS = {
    "earlysign": typer.main.get_command(make_app()),
    "earlysign-device": typer.main.get_command(phone_app),
}
FENCED = re.findall(r"^\s*```\w*\n(.*?)^\s*```", ALL, re.S | re.M)
LINES = [line.strip() for block in FENCED for line in block.splitlines()]
INLINE = re.findall(r"`([^`\n]+)`", ALL)
SAID = [one.partition("  #")[0].strip() for one in LINES + INLINE]
COMMANDS = sorted({one for one in SAID if one.split(" ")[0] in PROGRAMS and " " in one})
BENCHES = sorted({one for one in SAID if one.startswith("python -m tests.")})
TARGETS = sorted({target for one in SAID for target in re.findall(r"^make ([a-z]+)", one)})
FILES = sorted({one for one in INLINE if re.fullmatch(r"(?:server|sync|client_stub|tests)/[\w./]+", one)})


def test_there_is_something_to_check() -> None:
    assert min(map(len, (COMMANDS, BENCHES, TARGETS, FILES))) > 1


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_that_is_named_is_there_with_its_options(line: str) -> None:
    program, *words = shlex.split(line)
    command: Any = PROGRAMS[program]
    while words and words[0] in getattr(command, "commands", ()):
        command = command.commands[words.pop(0)]
    assert not hasattr(command, "commands"), f"there is no such command: {line}"
    known = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("line", BENCHES)
def test_a_program_of_the_tests_that_is_named_is_there(line: str) -> None:
    words = line.split()
    where = ROOT / words[2].replace(".", "/")
    source = where / "__main__.py" if where.is_dir() else where.with_suffix(".py")
    text = source.read_text("utf-8")
    assert all(f'"{word}"' in text for word in words if word.startswith("--"))


@pytest.mark.parametrize("target", TARGETS)
def test_a_make_target_that_is_named_is_there(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.M)


@pytest.mark.parametrize("path", FILES)
def test_a_file_that_is_named_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_map_has_every_room_and_every_module_between_them() -> None:
    rooms = {
        one.name + "/" if one.is_dir() else one.name
        for one in (ROOT / "server").iterdir()
        if (one.is_dir() and one.name != "__pycache__") or (one.suffix == ".py" and one.name != "__init__.py")
    }
    assert {
        one for one in rooms if not re.search(rf"^  (\w+\.py, )*{re.escape(one)}[,\s]", CONTRIBUTING, re.M)
    } == set()


def test_the_floors_are_those_that_are_held() -> None:
    held = re.search(r"^layers = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text("utf-8"), re.S | re.M)
    assert held is not None
    layers = [set(re.findall(r"\w+", one)) for one in re.findall(r'"(.*?)"', held[1])]
    table = re.findall(r"^\| (?:top|ground|) *\| (.*) \|$", CONTRIBUTING, re.M)
    told = [set(re.findall(r"`(\w+)`", row)) for row in table]
    assert [row - {"sync"} for row in told] == layers
