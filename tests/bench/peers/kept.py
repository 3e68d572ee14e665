"""What was measured, kept in the temporary folder, so that a run that was stopped goes on where it was."""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)

SHAPE = ("notes", "batch", "clients", "children", "phones", "phone_notes", "only")
"""What is asked that decides what a figure means."""


class Kept:
    """The figures of one version of the code and one shape of the work, each under its name."""

    def __init__(self, asked: argparse.Namespace) -> None:
        root = Path(__file__).parents[3]
        code = [
            path
            for folder in ("server", "sync", "tests/bench/peers")
            for path in (root / folder).rglob("*.py")
        ]
        told = repr([getattr(asked, name) for name in SHAPE]).encode()
        version = hashlib.sha256(b"".join([told, *(path.read_bytes() for path in sorted(code))])).hexdigest()[
            :12
        ]
        self._folder = Path(tempfile.gettempdir()) / f"earlysign-bench-{os.getuid()}" / f"peers-{version}"
        self._again = asked.again or asked.quick

    def has(self, name: str) -> bool:
        """Whether this was measured before, and is to be taken from there."""
        return not self._again and self._file(name).exists()

    def get(self, name: str, of: type[T], measure: Callable[[], T]) -> tuple[T, bool]:
        """(the figures of that name, whether they were measured before)."""
        if self.has(name):
            return msgspec.json.decode(self._file(name).read_bytes(), type=of), True
        found = measure()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file(name).write_bytes(msgspec.json.encode(found))
        return found, False

    def _file(self, name: str) -> Path:
        return self._folder / f"{''.join(one if one.isalnum() else '-' for one in name)}.json"
