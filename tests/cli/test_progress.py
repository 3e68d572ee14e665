"""How far a command is, on a terminal and where nobody watches."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from server.cli.progress import LINE_EVERY_SECONDS, Steps, rows_about


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_where_nobody_watches_a_line_comes_now_and_then_and_one_when_a_step_has_ended() -> None:
    said, clock = io.StringIO(), Clock()
    with Steps(Console(file=said), clock) as steps:
        for done in range(1, 31):
            clock.now += LINE_EVERY_SECONDS / 10
            steps.tell("Writing", done * 1000, 30_000)
        steps.tell("Tidying the index", 5)
        clock.now += LINE_EVERY_SECONDS
        steps.tell("Tidying the index", 4_104_959)
        steps.tell("Writing", 30_000, 30_000)
    assert said.getvalue().splitlines() == [
        "Writing: 10,000 of 30,000",
        "Writing: 20,000 of 30,000",
        "Writing: 30,000 of 30,000",
        "Tidying the index: 4,104,959",
    ]


def test_on_a_terminal_each_step_has_a_bar() -> None:
    said = io.StringIO()
    with Steps(Console(file=said, force_terminal=True, width=100)) as steps:
        steps.tell("Checking", 40, 60)
        steps.tell("Tidying the index", 4_104_959)
    assert "40/60" in said.getvalue() and "4104959/?" in said.getvalue()


def test_rows_are_counted_by_their_lines_and_a_missing_file_has_none(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("child_id\n1\n2\n")
    assert rows_about(tmp_path / "a.csv") == 2 and rows_about(tmp_path / "b.csv") is None
