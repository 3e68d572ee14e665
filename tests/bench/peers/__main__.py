"""`python -m tests.bench.peers`: the server beside stores that others use for the same, in turn, in one run.

Each is started anew for each round and does the same work: 20,000 notes pushed in batches of 50 by 16 clients, the
same again, everything pulled in pages of 500, empty pulls, and, in the first of the rounds, the end of a shift: 2,000
fresh connections with 20 notes each, all at once. Ours does the whole road besides (custody, linkage against 100,000
children, rules, alerts, audit). Figures are medians of the rounds; what was acknowledged is counted against what can be
pulled. All are asked by one and the same small client (`wire.py`). A peer that answers before anything is on disk is
marked so. Kinto is given a fifth of the notes and phones, for it takes some six milliseconds of CPU for each. A whole
run ends with the end of a shift on ours with 2 million children, London's number (`--burst` measures that alone, with
`--children`).

Everything runs on this machine, clients too. PostgreSQL's programs and the network (for the peers' packages, the
first time) are needed. On a quiet machine with two cores a whole run takes half an hour, six minutes of it to import
2 million children, the first time. What was measured of each is printed as it goes and kept in the temporary folder: a
run that was stopped goes on where it was, unless the code has changed or `--again` is said. `--peers rxdb "earlysign
on SQLite" --only pull` measures some, and of each some parts (notes are pushed in any case); `--quick`, and any run
with fewer notes or some peers only, leaves the 2 million out. It ends with 1 where a bar was missed or a note of ours
was lost.
"""

from __future__ import annotations

import argparse
import functools
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from server.clock import now_ms
from server.demo.population import write_registry_csv
from server.importing import import_registry
from server.storage import open_store
from tests.bench.peers import servers
from tests.bench.peers.kept import Kept
from tests.bench.peers.measuring import PARTS, Burst, Measured, measure, measure_burst
from tests.bench.peers.servers import Peer
from tests.bench.push_postgres import execute, postmaster
from tests.bench.setting import SEED
from tests.storage.postgres_server import private_server, server_url

OURS = "earlysign on SQLite"
BARS = (
    ("push", "FastAPI", 2.0),
    ("push", "pouchdb", 0.5),
    ("pull", "rxdb", 2.1),
    ("again", "rxdb", 2.0),
    ("empty_p50", "rxdb", 0.6),
)
"""What ours on SQLite must reach: a figure, the peer it is held against, and the ratio to it (a time: at most)."""

WHOLE_NOTES = 20_000
CHILDREN_OF_LONDON = 2_000_000
BURST_BARS = (("seconds", 25.0), ("p99", 10.0), ("memory", 1536.0), ("lost", 0.0))
"""What the end of a shift may take with London's number of children: seconds, seconds, MiB, notes."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--notes", type=int, default=WHOLE_NOTES)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--children", type=int, default=100_000)
    parser.add_argument("--phones", type=int, default=2_000, help="of the end of a shift")
    parser.add_argument("--phone-notes", type=int, default=20, help="of each of those phones")
    parser.add_argument("--burst-rounds", type=int, default=1, help="rounds in which a shift ends")
    parser.add_argument("--burst", action="store_true", help="only the end of a shift, and only ours")
    parser.add_argument("--peers", nargs="+", default=[], help="names of peers, or a piece of each")
    parser.add_argument("--only", nargs="+", default=PARTS, choices=PARTS, help="parts of the work")
    parser.add_argument("--again", action="store_true", help="measure what was measured before, too")
    parser.add_argument("--quick", action="store_true", help="one small round, to see that everything runs")
    asked = parser.parse_args()
    if asked.quick:
        asked.rounds, asked.notes, asked.children, asked.phones = 1, 1_600, 2_000, 60
    kept = Kept(asked)
    if asked.burst:
        return report_bursts({OURS: [at_the_end_of_a_shift(kept, asked)]}, asked)
    with ExitStack() as stack:
        rounds, bursts = measure_rounds(asked, kept, stack)
        failed = report(rounds, asked) + report_bursts(bursts, asked)
    if not asked.quick and not asked.peers and "burst" in asked.only and asked.notes >= WHOLE_NOTES:
        asked.children = CHILDREN_OF_LONDON
        failed += report_bursts({OURS: [at_the_end_of_a_shift(Kept(asked), asked)]}, asked)
    return 1 if failed else 0


Rounds = dict[Peer, list[Measured]]
Bursts = dict[str, list[Burst]]


def measure_rounds(asked: argparse.Namespace, kept: Kept, stack: ExitStack) -> tuple[Rounds, Bursts]:
    """Every round of every peer, and the ends of shifts, but for what was measured before."""
    is_missing = functools.partial(misses_some, asked, kept)
    peers = wanted(asked.peers, asked.children, stack, is_missing)
    rounds: Rounds = {peer: [] for peer in peers}
    bursts: Bursts = {peer.name: [] for peer in peers}
    print(HEAD, flush=True)
    for number in range(1, asked.rounds + 1):
        for peer in peers:
            began = time.monotonic()
            found, before = kept.get(
                f"{peer.name} {number}", Measured, functools.partial(measure, peer, asked)
            )
            rounds[peer].append(found)
            took = "measured before" if before else f"{time.monotonic() - began:.0f} s"
            print(f"{line(peer, [found])}  round {number}, {took}", flush=True)
            if number <= asked.burst_rounds and "burst" in asked.only:
                bursts[peer.name].append(
                    kept.get(
                        f"{peer.name} burst {number}", Burst, functools.partial(measure_burst, peer, asked)
                    )[0]
                )
                print(burst_line(peer.name, bursts[peer.name][-1:]), flush=True)
    return rounds, bursts


def misses_some(asked: argparse.Namespace, kept: Kept, name: str) -> bool:
    """Whether some figure of a peer is still to be measured."""
    names = [f"{name} {number}" for number in range(1, asked.rounds + 1)]
    if "burst" in asked.only:
        names += [f"{name} burst {number}" for number in range(1, min(asked.rounds, asked.burst_rounds) + 1)]
    return not all(map(kept.has, names))


def at_the_end_of_a_shift(kept: Kept, asked: argparse.Namespace) -> Burst:
    """The end of a shift alone, of ours."""
    peer = Peer(OURS, True, servers.ours_on_sqlite(asked.children))
    return kept.get(f"{OURS} burst", Burst, functools.partial(measure_burst, peer, asked))[0]


def wanted(
    pieces: list[str], children: int, stack: ExitStack, is_missing: Callable[[str], bool]
) -> list[Peer]:
    """Ours and the others, in the order of a round, those of whose names a piece was given. PostgreSQL runs, for as
    long as the stack is open, where one of them needs it: `is_missing` says whether a peer is still to be measured."""
    alone = (
        Peer(OURS, True, servers.ours_on_sqlite(children)),
        Peer("FastAPI and SQLModel, SQLite", True, servers.fastapi_sqlmodel),
        Peer("rxdb-server, memory", False, servers.rxdb_server),
        Peer("pouchdb-server, memory", False, servers.pouchdb_server),
    )
    on_postgres = ("earlysign on PostgreSQL", "Kinto, PostgreSQL (a fifth)")

    def is_wanted(name: str) -> bool:
        return not pieces or any(piece in name for piece in pieces)

    peers = [peer for peer in alone if is_wanted(peer.name)]
    ours, kinto = on_postgres
    if any(is_wanted(name) and is_missing(name) for name in on_postgres):
        postgres = stack.enter_context(private_server(durable=True))
        import_into(postgres, Path(stack.enter_context(tempfile.TemporaryDirectory())), children)
        master = postmaster(postgres)
        more = (
            Peer(ours, True, servers.ours_on_postgres(postgres, master)),
            Peer(kinto, True, servers.kinto(postgres, master), share=0.2),
        )
    else:
        more = (Peer(ours, True, servers.never), Peer(kinto, True, servers.never))
    return peers + [peer for peer in more if is_wanted(peer.name)]


def import_into(postgres: str, folder: Path, children: int) -> None:
    """Fill PostgreSQL's database `registry`, which every run copies."""
    execute(postgres, "CREATE DATABASE registry")
    write_registry_csv(folder / "known.csv", SEED, children)
    store = open_store(server_url(postgres, "registry"))
    store.migrate()
    import_registry(store, folder / "known.csv", now=now_ms())
    store.close_now()
    execute(postgres, "VACUUM ANALYZE")


def middle(measured: list[Measured], name: str) -> float | None:
    """The median, or None of what was not measured."""
    values: list[float] = [value for one in measured if (value := getattr(one, name)) is not None]
    return median(values) if values else None


COLUMNS = (
    ("push/s", "push", 8, 0),
    ("p99 ms", "push_p99", 8, 0),
    ("again/s", "again", 9, 0),
    ("pull/s", "pull", 8, 0),
    ("empty ms", "empty_p50", 10, 2),
    ("CPU s/1k", "cpu", 10, 2),
    ("again us", "cpu_again", 10, 0),
    ("pull us", "cpu_pull", 9, 0),
    ("empty us", "cpu_empty", 10, 0),
    ("MiB", "memory", 6, 0),
    ("acked", "acknowledged", 8, 0),
    ("there", "pullable", 8, 0),
    ("lost", "lost", 6, 0),
)
HEAD = f"{'':30}" + "".join(f"{title:>{width}}" for title, _, width, _ in COLUMNS)


def line(peer: Peer, of: list[Measured]) -> str:
    """The medians of some rounds."""
    figures = [
        "-".rjust(width) if (value := middle(of, name)) is None else f"{value:{width}.{digits}f}"
        for _, name, width, digits in COLUMNS
    ]
    return f"{peer.name:30}{''.join(figures)}"


def report(rounds: Rounds, asked: argparse.Namespace) -> int:
    """Print the table and the bars. How many bars were missed, and what was lost of ours."""
    print(
        f"\n{asked.notes} notes in batches of {asked.batch} from {asked.clients} clients; ours with"
        f" {asked.children} known children; median of {asked.rounds}, interleaved; {os.cpu_count()} cores,"
        " clients on the same machine.\nCPU time is the server's: for 1,000 notes pushed, for a note pushed again, for"
        " a note pulled, for an empty pull.\n"
    )
    print(f"{HEAD}  on disk")
    for peer, of in rounds.items():
        print(f"{line(peer, of)}  {'yes' if peer.durable else 'NO: does not fsync'}")
    missed = 0
    named = {peer.name: of for peer, of in rounds.items()}
    print()
    for figure, against, bar in BARS:
        other = next((name for name in named if against in name), None)
        if other is None or OURS not in named:
            continue
        mine, theirs = middle(named[OURS], figure), middle(named[other], figure)
        if mine is None or theirs is None:
            continue
        ratio = mine / theirs
        at_most = figure.startswith("empty")
        holds = ratio <= bar if at_most else ratio >= bar
        missed += not holds
        print(f"  {figure} beside {other}: {ratio:.2f} ({'at most' if at_most else 'at least'} {bar}):"
              f" {'held' if holds else 'MISSED'}")  # fmt: skip
    lost = sum(one.lost for name, of in named.items() if name.startswith("earlysign") for one in of)
    return (0 if asked.quick else missed) + lost


def burst_line(name: str, of: list[Burst]) -> str:
    """The medians of some ends of a shift."""
    seconds, p99, memory, acknowledged, lost = (
        median(getattr(one, figure) for one in of)
        for figure in ("seconds", "p99", "memory", "acknowledged", "lost")
    )
    return (
        f"{name:30}{seconds:8.1f} s, p99 of a push {p99:.1f} s, {memory:.0f} MiB, acknowledged"
        f" {acknowledged:.0f}, lost {lost:.0f}"
    )


def report_bursts(bursts: dict[str, list[Burst]], asked: argparse.Namespace) -> int:
    """Print how each server took the end of a shift, and, with as many children as London has, the bars. How many
    were missed, and what was lost of ours."""
    if not any(bursts.values()):
        return 0
    print(f"\n{asked.phones} fresh connections at once, {asked.phone_notes} notes each; ours with"
          f" {asked.children} known children")  # fmt: skip
    missed = 0
    for name, of in bursts.items():
        if not of:
            continue
        print(burst_line(name, of))
        if name == OURS and asked.children >= CHILDREN_OF_LONDON:
            for figure, most in BURST_BARS:
                worst = max(getattr(one, figure) for one in of)
                missed += worst > most
                print(f"  {figure}: {worst:.1f} (at most {most}): {'held' if worst <= most else 'MISSED'}")
    lost = sum(one.lost for name, of in bursts.items() if name.startswith("earlysign") for one in of)
    return missed + lost


if __name__ == "__main__":
    raise SystemExit(main())
