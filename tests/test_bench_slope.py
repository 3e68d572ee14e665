"""The slope's rule, its chart, and that the README shows what was measured last."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from tests.bench.slope import told
from tests.bench.slope.__main__ import HERE, read_report
from tests.bench.slope.measuring import Costs
from tests.bench.slope.told import Report, Size, Slope

README = Path(__file__).parents[1] / "README.md"


def report_of(figure: str, *values: float) -> Report:
    """One slope from ten thousand to two million in which only one figure is not flat."""
    flat = Costs(note_cpu=500, note_clock=900, pull_cpu=300, queue_cpu=2000, search_cpu=3000)
    sizes = [
        Size(size=size, costs=msgspec.structs.replace(flat, **{figure: value}), disk_bytes=size * 1500)
        for size, value in zip((10_000, 100_000, 2_000_000), values, strict=True)
    ]
    return Report(
        when="2026-11-27", machine="2 cores", slopes=[Slope(of="things", beside="none", sizes=sizes)]
    )


def test_what_grows_as_the_logarithm_passes() -> None:
    assert told.faults(report_of("note_cpu", 400, 500, 630)) == []
    assert told.faults(report_of("search_cpu", 400, 300, 200)) == []


@pytest.mark.parametrize("figure", told.JUDGED)
def test_what_grows_faster_is_told_with_its_figures(figure: str) -> None:
    found = told.faults(report_of(figure, 100, 120, 300))
    assert len(found) == 1
    assert "at 2,000,000 things costs 3.00 times what it costs at 10,000" in found[0]


def test_a_middle_size_is_judged_as_well() -> None:
    assert len(told.faults(report_of("pull_cpu", 100, 300, 150))) == 1


def test_the_readme_and_the_chart_show_what_was_measured_last() -> None:
    report = read_report()
    assert told.tables(report) in README.read_text(encoding="utf-8"), "put in what --draw prints"
    chart = (HERE / "slope.svg").read_text(encoding="utf-8")
    assert chart == told.chart(report), "python -m tests.bench.slope --draw"
    assert ElementTree.fromstring(chart).tag.endswith("svg")
