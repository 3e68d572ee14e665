"""The force's own boroughs and its basic command units (BCU), from `boroughs.toml` or a file like it.

Another force, or the same after a reorganisation, edits the file: nothing here knows London.
"""

import functools
import importlib.resources
import pathlib
import tomllib
from typing import Annotated

import msgspec

from server.casework.lines import WrongShape, read_toml

Code = Annotated[str, msgspec.Meta(pattern=r"^[A-Z][0-9]{8}$")]
"""An ONS GSS code, for example `E09000022`."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class BoroughsError(ValueError):
    """The file of boroughs cannot be used. The message says where and why."""


class _FileBorough(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: Code
    name: Name
    contact: Annotated[str, msgspec.Meta(max_length=200)] | None = None


class _FileUnit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9]{1,8}$")]
    name: Name
    boroughs: Annotated[tuple[_FileBorough, ...], msgspec.Meta(min_length=1)]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    units: Annotated[tuple[_FileUnit, ...], msgspec.Meta(min_length=1)]


class Unit(msgspec.Struct, frozen=True):
    """A basic command unit: `code` such as `AS`, `name` such as `Central South`, its borough codes."""

    code: str
    name: str
    boroughs: tuple[str, ...]


class Borough(msgspec.Struct, frozen=True):
    """One borough: GSS `code`, `name`, the code of the unit that polices it, and whom officers there ring."""

    code: str
    name: str
    unit: str
    contact: str | None = None


class Force(msgspec.Struct, frozen=True):
    """A police force: its boroughs by GSS code and its units by unit code."""

    name: str
    boroughs: dict[str, Borough]
    units: dict[str, Unit]

    def polices(self, code: str | None) -> bool:
        """Whether this force polices the borough with that GSS code."""
        return code in self.boroughs

    def name_of(self, code: str) -> str:
        """The borough's name; for a borough of another force, its code, as no name is known."""
        borough = self.boroughs.get(code)
        return borough.name if borough is not None else code

    def place_of(self, borough: str | None, unit: str | None) -> str | None:
        """Where somebody works, by name: a borough, a unit, or None for the whole force."""
        if borough:
            return self.name_of(borough)
        return self.units[unit].name if unit in self.units else unit

    def unit_of(self, code: str) -> str | None:
        """The unit code of a borough, or None outside the force."""
        borough = self.boroughs.get(code)
        return borough.unit if borough is not None else None

    def boroughs_of(self, unit: str) -> tuple[str, ...]:
        """The borough codes of a unit; empty for an unknown unit."""
        found = self.units.get(unit)
        return found.boroughs if found is not None else ()


def load_force(source: str | pathlib.Path) -> Force:
    """Read a force from TOML text, or from a file when given a `Path`.

    Raises `BoroughsError` for text that is not TOML, a key that is missing, unknown or wrong, and a
    borough or unit that is there twice.
    """
    text = source.read_text(encoding="utf-8") if isinstance(source, pathlib.Path) else source
    try:
        parsed = read_toml(text, _File)
    except tomllib.TOMLDecodeError as error:
        raise BoroughsError(f"The file of boroughs is not valid TOML: {error}.") from error
    except WrongShape as error:
        raise BoroughsError(f"The file of boroughs is wrong{error}.") from error
    boroughs: dict[str, Borough] = {}
    units: dict[str, Unit] = {}
    for unit in parsed.units:
        if unit.code in units:
            raise BoroughsError(f"The unit {unit.code} is in the file of boroughs twice; keep one.")
        units[unit.code] = Unit(unit.code, unit.name, tuple(borough.code for borough in unit.boroughs))
        for borough in unit.boroughs:
            if borough.code in boroughs:
                raise BoroughsError(f"The borough {borough.code} is in the file twice; keep one.")
            boroughs[borough.code] = Borough(borough.code, borough.name, unit.code, borough.contact)
    return Force(parsed.name, boroughs, units)


@functools.cache
def default_force() -> Force:
    """The force that ships with the product: the 32 boroughs of the Metropolitan Police in 12 units."""
    return load_force(importlib.resources.files(__package__).joinpath("boroughs.toml").read_text("utf-8"))
