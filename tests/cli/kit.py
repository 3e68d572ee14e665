"""Running commands in this process, as the entry point does."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import msgspec

from server.cli import common, make_app


class Ran(msgspec.Struct, frozen=True):
    """What a command did: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


def run(*arguments: str, typed: str = "") -> Ran:
    """Run `earlysign ARGUMENTS`, with `typed` on standard input."""
    out, err = io.StringIO(), io.StringIO()
    with _streams(out, err, typed):
        try:
            with mock.patch.object(sys, "argv", ["earlysign", *arguments]):
                code = common.run(make_app())
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())


@contextmanager
def _streams(out: io.StringIO, err: io.StringIO, typed: str) -> Iterator[None]:
    with (
        mock.patch.object(sys, "stdout", out),
        mock.patch.object(sys, "stderr", err),
        mock.patch.object(sys, "stdin", io.StringIO(typed)),
    ):
        yield


def data_option(folder: Path) -> tuple[str, str]:
    return ("--data", str(folder))
