"""What a borough permits its people to choose of how they are told: data, in `telling.toml`."""

from __future__ import annotations

import datetime
import tomllib
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from sync.vocabulary import Grade

DEFAULT = Path(__file__).with_name("telling.toml")
STANDARD = "standard"
LONDON = ZoneInfo("Europe/London")


class TellingError(Exception):
    """The file cannot be used; `str()` says why."""


class Mode(StrEnum):
    """How a grade is told to a person."""

    NOW = "now"
    DIGEST = "digest"
    OFF = "off"


class Preset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Channels that are permitted, and for each grade below red the modes, the default first."""

    channels: tuple[str, ...]
    amber: tuple[Mode, ...]
    green: tuple[Mode, ...]
    blue: tuple[Mode, ...]

    def modes(self, grade: Grade) -> tuple[Mode, ...]:
        """What a person may choose for a grade. Red always interrupts."""
        return (Mode.NOW,) if grade is Grade.RED else getattr(self, grade.value)

    def mode(self, grade: Grade, chosen: str | None) -> Mode:
        """What holds for a grade: what the person chose where it is permitted, or the default."""
        permitted = self.modes(grade)
        return next((mode for mode in permitted if mode == chosen), permitted[0])


class Presets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All presets, and which borough has which."""

    digest_at: str
    presets: dict[str, Preset]
    boroughs: dict[str, str]

    def of(self, borough: str | None) -> Preset:
        """The preset of a borough; of somebody who has none, the standard one."""
        return self.presets[self.boroughs.get(borough or "", STANDARD)]

    def next_digest(self, now: int) -> int:
        """When the next digest goes out, in milliseconds."""
        return next_at(now, minute_of(self.digest_at))


def load_presets(own: Path | None = None) -> Presets:
    """The presets of the force's own file, or those that ship. Raises `TellingError`."""
    path = own or DEFAULT
    try:
        found = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Presets)
        minute_of(found.digest_at)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise TellingError(f"{path.name}: {error}") from None
    for name in (STANDARD, *found.boroughs.values()):
        if name not in found.presets:
            raise TellingError(f"{path.name}: there is no preset `{name}`.")
    if not all(preset.modes(grade) for preset in found.presets.values() for grade in Grade):
        raise TellingError(f"{path.name}: each grade needs at least one mode.")
    return found


def minute_of(text: str) -> int:
    """The minute of the day of `HH:MM`. Raises ValueError."""
    at = datetime.time.fromisoformat(text)
    return at.hour * 60 + at.minute


def next_at(now: int, minute: int) -> int:
    """The next moment, in milliseconds, at which London's clocks show this minute of the day."""
    here = datetime.datetime.fromtimestamp(now / 1000, LONDON)
    at = here.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0, fold=0)
    if at <= here:
        at = at + datetime.timedelta(days=1)
    return round(at.timestamp() * 1000)


def after_quiet(now: int, quiet_from: int | None, quiet_until: int | None) -> int:
    """When somebody with these quiet hours (minutes of the day) may be interrupted: now, or at their end."""
    if quiet_until is None or not is_quiet(now, quiet_from, quiet_until):
        return now
    return next_at(now, quiet_until)


def is_quiet(now: int, quiet_from: int | None, quiet_until: int | None) -> bool:
    """Whether that moment is in these quiet hours, in minutes of London's day; there are none where one is missing."""
    if quiet_from is None or quiet_until is None or quiet_from == quiet_until:
        return False
    here = datetime.datetime.fromtimestamp(now / 1000, LONDON)
    minute = here.hour * 60 + here.minute
    if quiet_from < quiet_until:
        return quiet_from <= minute < quiet_until
    return minute >= quiet_from or minute < quiet_until
