"""How far a command is that takes a while: bars on a terminal, a line now and then where nobody watches.

On standard error, so that standard output stays clean. A nightly job's log says what an import was at when it
ended, and is not filled with bars.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from server.cli.common import err

CHUNK_BYTES = 1 << 20
LINE_EVERY_SECONDS = 10.0
"""A job of five minutes leaves thirty lines."""


class Steps:
    """The steps of a command, each told of as it goes. A context manager."""

    def __init__(self, console: Console = err, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._bars = _bars(console) if console.is_terminal else None
        self._tasks: dict[str, TaskID] = {}
        self._ended: set[str] = set()
        self._said_at = clock()

    def __enter__(self) -> Steps:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def tell(self, step: str, done: int, of: int | None = None) -> None:
        """So much of a step is done, of so much if that is known. Steps appear in the order they are first told of."""
        if self._bars is None:
            self._say(step, done, of)
            return
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(escape(step), total=of)
        self._bars.update(self._tasks[step], completed=done, total=of)

    def _say(self, step: str, done: int, of: int | None) -> None:
        now, ended = self._clock(), of is not None and done >= of
        if step in self._ended or not (ended or now - self._said_at >= LINE_EVERY_SECONDS):
            return
        self._said_at = now
        if ended:
            self._ended.add(step)
        whole = "" if of is None else f" of {of:,}"
        self._console.print(f"{step}: {done:,}{whole}", markup=False, soft_wrap=True)


def rows_about(path: Path) -> int | None:
    """About how many rows a CSV file has (its line ends, less the header); `None` when it cannot be read twice."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            return max(0, sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(CHUNK_BYTES), b"")) - 1)
    except OSError:
        return None


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<18}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
    )


class _Rate(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "")
