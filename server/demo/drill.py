"""The rule pack of the demo: the pack that ships, with the chain of a red alert sped up so that one can watch it.

Only how soon the next person hears is changed; grades, windows, deadlines and sentences are those of every day.
"""

import importlib.resources
import tomllib
from typing import Any

SPEED = 150
"""A quarter of an hour passes in six seconds, the hour of the whole chain in 24."""


def shipped_pack() -> str:
    """The text of the pack that ships."""
    return importlib.resources.files("server.casework").joinpath("rules.toml").read_text("utf-8")


def red_chain() -> list[tuple[float, str]]:
    """(minutes, role) of each step of the shipped chain for red. Raises ValueError where one has no minutes."""
    pack: dict[str, Any] = tomllib.loads(shipped_pack())
    steps = pack["escalations"]["red"]
    if not all("minutes" in step for step in steps):
        raise ValueError("the shipped chain for red is not in minutes, so the demo cannot speed it up")
    return [(float(step["minutes"]), str(step["role"])) for step in steps]


def drill_pack() -> str:
    """The text of the demo's pack. Raises ValueError where the shipped one has another form than is known here."""
    text = shipped_pack()
    first = text.find("red = [", text.find("[escalations]"))
    last = text.find("]", first)
    if "[escalations]" not in text or first < 0 or last < 0:
        raise ValueError("the shipped pack has no chain for red under [escalations]")
    steps = ", ".join(
        f'{{ minutes = {minutes / SPEED:g}, role = "{role}" }}' for minutes, role in red_chain()
    )
    made = f"{text[:first]}red = [{steps}]{text[last + 1 :]}"
    return made.replace('version = "default-1"', f'version = "demo-{SPEED}-times-as-fast"', 1)
