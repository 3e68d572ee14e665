"""What LINKAGE.md asks for beside what was measured, part by part, kept so that a run can be continued later.

A part's figures belong to the version of the code and data that it measured: of another version none is shown.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from tests.bench.linkage.data import CACHE


class Bar(msgspec.Struct, frozen=True):
    """One bar: what was measured, whether the must holds, and both in words."""

    what: str
    value: str
    holds: bool
    said: str


class Part(msgspec.Struct):
    """What one part of the bench found: its bars, and figures that other parts need."""

    bars: list[Bar] = []
    figures: dict[str, float] = {}
    seconds: float = 0.0

    def least(
        self, what: str, value: float, must: float, stretch: float | None = None, form: str = ".4f"
    ) -> None:
        """`value` shall be this much or more."""
        self._add(what, value, must, stretch, form, 1)

    def most(
        self, what: str, value: float, must: float, stretch: float | None = None, form: str = ".4f"
    ) -> None:
        """`value` shall be this much or less."""
        self._add(what, value, must, stretch, form, -1)

    def _add(self, what: str, value: float, must: float, stretch: float | None, form: str, way: int) -> None:
        holds = way * value >= way * must
        said = "must holds" if holds else "MUST FAILS"
        if stretch is not None:
            said += ", stretch holds" if way * value >= way * stretch else ", stretch not"
        asked = f"{must:{form}}" + (f" / {stretch:{form}}" if stretch is not None else "")
        self.bars.append(Bar(what, f"{value:{form}}", holds, f"{asked:>19}  {said}"))

    def report(self) -> None:
        """Print the bars of this part."""
        for bar in self.bars:
            print(f"  {bar.what:54}{bar.value:>11}  {bar.said}", flush=True)


class Kept:
    """The parts measured with this version, in a folder of the cache."""

    def __init__(self, version: str) -> None:
        self._folder = CACHE / f"linkage-bars-{version}"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def write(self, name: str, part: Part) -> None:
        """Keep a part in place of what was found before."""
        self.file(name).write_bytes(msgspec.json.encode(part))

    def read(self, name: str) -> Part | None:
        """What a part found, None if it has not been measured."""
        path = self.file(name)
        return msgspec.json.decode(path.read_bytes(), type=Part) if path.exists() else None

    def file(self, name: str) -> Path:
        """Where a part of this name is kept."""
        return self._folder / f"{name}.json"
