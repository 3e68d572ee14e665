"""What was measured, told: the rule that judges it, the tables, and the chart."""

from __future__ import annotations

from collections.abc import Sequence
from math import log, log2

import msgspec

from tests.bench.slope.measuring import Costs

NOISE = 1.25
"""Medians of processor time on a machine that is not alone differ so much from run to run."""

LINES: tuple[tuple[str, str, str], ...] = (
    ("note_cpu", "one note", "CPU"),
    ("note_clock", "one note", "clock"),
    ("pull_cpu", "an empty pull", "CPU"),
    ("queue_cpu", "a page of the queue", "CPU"),
    ("search_cpu", "a search", "CPU"),
)
JUDGED = ("note_cpu", "pull_cpu", "queue_cpu", "search_cpu")


class Size(msgspec.Struct, kw_only=True):
    """What it costs at one size. `disk_bytes`: the whole database."""

    size: int
    costs: Costs
    disk_bytes: int


class Slope(msgspec.Struct, kw_only=True):
    """Sizes from the smallest to the largest. `of`: what there is so much of; `beside`: what stayed the same."""

    of: str
    beside: str
    sizes: list[Size]

    @property
    def bytes_each(self) -> float:
        """Disk for one more, between the smallest and the largest."""
        first, last = self.sizes[0], self.sizes[-1]
        return (last.disk_bytes - first.disk_bytes) / (last.size - first.size)


class Report(msgspec.Struct, kw_only=True):
    """Everything of one run."""

    when: str
    machine: str
    slopes: list[Slope]


def bound(first: int, size: int) -> float:
    """The rule: how many times what it costs at `first` it may cost at `size`.

    What grows as the logarithm grows by log(size) / log(first): 1.58 times from ten thousand to two million, where
    what grows with the size itself grows 200 times, and with its root 14 times.
    """
    return NOISE * log(size) / log(first)


def growth(slope: Slope, figure: str) -> list[float]:
    """How many times what it costs at the smallest size, at each."""
    values = [float(getattr(one.costs, figure)) for one in slope.sizes]
    return [value / values[0] for value in values]


def faults(report: Report) -> list[str]:
    """What grows faster than the rule permits, in words."""
    found = []
    for slope in report.slopes:
        first = slope.sizes[0].size
        for figure in JUDGED:
            for one, times in zip(slope.sizes, growth(slope, figure), strict=True):
                most = bound(first, one.size)
                if times > most:
                    name = next(words for name, words, _ in LINES if name == figure)
                    found.append(
                        f"{name} at {one.size:,} {slope.of} costs {times:.2f} times what it costs at {first:,};"
                        f" as the logarithm, and noise, it may {most:.2f} times"
                    )
    return found


def tables(report: Report) -> str:
    """A Markdown table for each slope."""
    return "\n\n".join(_table(slope) for slope in report.slopes)


def _table(slope: Slope) -> str:
    rows = [
        [f"{slope.of} ({slope.beside})", *(f"{one.size:,}" for one in slope.sizes), "times, may be"],
        ["---"] * (len(slope.sizes) + 2),
    ]
    for figure, name, kind in LINES:
        values = [getattr(one.costs, figure) for one in slope.sizes]
        last = growth(slope, figure)[-1]
        may = f" of {bound(slope.sizes[0].size, slope.sizes[-1].size):.2f}" if figure in JUDGED else ""
        rows.append([f"{name}, {kind}", *map(_milliseconds, values), f"{last:.2f}{may}"])
    disk = [f"{one.disk_bytes / 1e6:,.0f} MB" for one in slope.sizes]
    rows.append(["disk", *disk, f"{slope.bytes_each:,.0f} bytes each"])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _milliseconds(microseconds: float) -> str:
    return f"{microseconds / 1000:.2f} ms"


# The chart: one panel for each slope, how many times the cost at the smallest size against the size.

WIDTH, HEIGHT, LEFT, TOP, PANEL, GAP, DEEP = 900, 400, 52, 64, 372, 60, 250
MOST = 4.0
COLOURS = {
    "note_cpu": ("#0b5cad", "#6cb4ff"),
    "pull_cpu": ("#a8480a", "#ffa468"),
    "queue_cpu": ("#5d3a9b", "#c3a6ff"),
    "search_cpu": ("#00695c", "#5cd6c0"),
}
DASHES = {"note_cpu": "", "pull_cpu": "8 4", "queue_cpu": "3 3", "search_cpu": "10 3 2 3"}

STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #1a1a1a } .small { font-size: 12px; fill: #444 }
    .title { font-weight: 600 } .ground { fill: #fff } .grid { stroke: #ddd } .may { fill: #ececec }
    path { fill: none; stroke-width: 2.5 }
"""
STYLE_DARK = """
    text { fill: #f0f0f0 } .small { fill: #c0c0c0 } .ground { fill: #14171a } .grid { stroke: #3a3f45 }
    .may { fill: #262b31 }
"""


def chart(report: Report) -> str:
    """The chart as SVG, in colours for a light page and for a dark one. The same report, the same bytes."""
    light = "".join(
        f" .{name} {{ stroke: {one} }} .dot-{name} {{ fill: {one} }}" for name, (one, _) in COLOURS.items()
    )
    dark = "".join(
        f" .{name} {{ stroke: {two} }} .dot-{name} {{ fill: {two} }}" for name, (_, two) in COLOURS.items()
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        ' aria-labelledby="chart-title chart-words">',
        '<title id="chart-title">What one more costs as there is more to look among</title>',
        f'<desc id="chart-words">{_in_words(report)}</desc>',
        f"<style>{STYLE}{light}\n    @media (prefers-color-scheme: dark) {{{STYLE_DARK}{dark} }}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="24">CPU time, as a multiple of that at the smallest size</text>',
    ]
    for number, slope in enumerate(report.slopes):
        parts += _panel(slope, LEFT + number * (PANEL + GAP))
    x, y = LEFT, HEIGHT - 18
    for figure in JUDGED:
        name = next(words for one, words, _ in LINES if one == figure)
        dash = f' stroke-dasharray="{DASHES[figure]}"' if DASHES[figure] else ""
        parts.append(
            f'<path class="{figure}"{dash} d="M{x} {y - 4}h34"/><text x="{x + 42}" y="{y}">{name}</text>'
        )
        x += 66 + 7 * len(name)
    parts.append(f'<rect class="may" x="{x}" y="{y - 10}" width="24" height="12"/>')
    parts.append(f'<text x="{x + 30}" y="{y}">what the rule permits</text></svg>')
    return "\n".join(parts) + "\n"


def _panel(slope: Slope, left: int) -> list[str]:
    first, last = slope.sizes[0].size, slope.sizes[-1].size

    def x(size: int) -> float:
        return left + PANEL * log2(size / first) / log2(last / first)

    def y(times: float) -> float:
        return TOP + DEEP * (1 - min(times, MOST) / MOST)

    parts = [f'<text class="title" x="{left}" y="{TOP - 14}">{slope.of} ({slope.beside})</text>']
    edge = " ".join(f"{x(one.size):.1f},{y(bound(first, one.size)):.1f}" for one in slope.sizes)
    ground = f"{left},{TOP + DEEP} {edge} {left + PANEL},{TOP + DEEP}"
    parts.append(f'<polygon class="may" points="{ground}"/>')
    for times in range(int(MOST) + 1):
        parts.append(f'<path class="grid" style="stroke-width:1" d="M{left} {y(times):.1f}h{PANEL}"/>')
        parts.append(
            f'<text class="small" x="{left - 8}" y="{y(times) + 4:.1f}" text-anchor="end">{times}</text>'
        )
    below = f'y="{TOP + DEEP + 20}" text-anchor="middle"'
    parts += [
        f'<text class="small" x="{x(one.size):.1f}" {below}>{_short(one.size)}</text>' for one in slope.sizes
    ]
    for figure in JUDGED:
        points = [
            (x(one.size), y(times)) for one, times in zip(slope.sizes, growth(slope, figure), strict=True)
        ]
        dash = f' stroke-dasharray="{DASHES[figure]}"' if DASHES[figure] else ""
        parts.append(
            f'<path class="{figure}"{dash} d="M' + "L".join(f"{px:.1f} {py:.1f}" for px, py in points) + '"/>'
        )
        parts += [f'<circle class="dot-{figure}" cx="{px:.1f}" cy="{py:.1f}" r="4"/>' for px, py in points]
    return parts


def _short(size: int) -> str:
    return f"{size / 1e6:g}M" if size >= 1_000_000 else f"{size:,}"


def _in_words(report: Report) -> str:
    said = []
    for slope in report.slopes:
        ends: Sequence[str] = [
            f"{next(words for one, words, _ in LINES if one == figure)} {growth(slope, figure)[-1]:.2f} times"
            for figure in JUDGED
        ]
        said.append(
            f"From {slope.sizes[0].size:,} to {slope.sizes[-1].size:,} {slope.of}: " + ", ".join(ends) + "."
        )
    return " ".join(said)
