"""`python -m tests.bench.alerts`: how soon an alert is seen, how many may watch, and what downtime leaves behind.

(a) From the commit of a red note to its event in a live stream over HTTP, while 500 notes a second come in (p99 below
    250 ms). (b) 10,000 live streams in one process: memory for each (13 KB or less), and one alert to all of them
    beside a bare ASGI stream (1.3 times its time at most). (c) A year of 100,000 deadlines after downtime, in order,
    within 60 s. Servers and listeners are processes of their own. `--quick` does the same in small, for CI: it holds
    (c) to its bar, and (a) to losing nothing, since a shared machine's times say little.
"""

from __future__ import annotations

import argparse

from tests.bench.alerts import deadlines, streams
from tests.bench.push import percentile


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="in small, for CI")
    parser.add_argument("--seconds", type=int, default=60, help="how long (a) pushes")
    parser.add_argument("--only", choices=["a", "b", "c"])
    asked = parser.parse_args()
    held = [
        show(asked) for part, show in (("a", _latency), ("b", _crowd), ("c", _deadlines)) if asked.only in (None, part)
    ]  # fmt: skip
    return 0 if all(held) else 1


def _latency(asked: argparse.Namespace) -> bool:
    rate, seconds, children = (100, 5, 1_000) if asked.quick else (500, asked.seconds, 100_000)
    found = streams.latency(rate, seconds, children)
    print(f"(a) from commit to stream, {found.notes_per_second:.0f} notes/s for {found.seconds:.0f} s")
    for name, values in (("red", found.red), ("others", found.others)):
        print(
            f"    {name:<8} {len(values):6} events   p50 {percentile(values, 0.5):6.1f}   p99 "
            f"{percentile(values, 0.99):6.1f}   longest {max(values, default=0.0):6.1f} ms"
        )
    print(f"    lost {found.lost}; p99 of red below {streams.LATENCY_MS_MAX:.0f} ms: {_word(found.holds)}")
    return not found.lost if asked.quick else found.holds


def _crowd(asked: argparse.Namespace) -> bool:
    found = streams.crowd(*((300, 3) if asked.quick else (10_000, 9)))
    print(f"(b) {found.streams} open streams in one process, one alert to all")
    print(f"    memory for each      {found.stream_kb:8.1f} KB    a bare stream {found.bare_kb:8.1f} KB")
    print(f"      after the alerts   {found.after_kb:8.1f} KB (with what handling them left behind)")
    print(f"    all have it after    {found.last_ms:8.1f} ms    a bare stream {found.bare_last_ms:8.1f} ms")
    print(
        f"    {streams.STREAM_KB_MAX:.0f} KB or less, {found.times_bare:.2f} times a bare stream "
        f"({streams.TIMES_BARE_MAX} at most): {_word(found.holds)}"
    )
    return True if asked.quick else found.holds


def _deadlines(asked: argparse.Namespace) -> bool:
    found = deadlines.run(5_000 if asked.quick else 100_000)
    print(f"(c) a year of {found.deadlines} deadlines after downtime")
    print(
        f"    {found.told} told in {found.seconds:.1f} s, {'in' if found.in_order else 'NOT in'} order; "
        f"within {deadlines.SECONDS_MAX:.0f} s: {_word(found.holds)}"
    )
    return found.holds


def _word(holds: bool) -> str:
    return "yes" if holds else "NO"


if __name__ == "__main__":
    raise SystemExit(main())
