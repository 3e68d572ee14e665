"""`python -m tests.faults.kill9 --rounds N`: SIGKILL the server in the middle of a push, restart, retry.

Sixteen phones push while the server is killed again and again; what it acknowledged before a kill must be
there after it, and everything must be there once at the end (invariants 1 to 3 of the protocol). Then phones are
killed too, while they write and while they sync (`kill_phones.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil

import msgspec

from server.storage import open_store
from tests.bench.push import Outcome, pullable, push_all
from tests.bench.setting import database_with, enrol_phones, free_port, pushes
from tests.faults import kill_phones
from tests.faults.killing import Killer

PHONES = 16


class Result(msgspec.Struct, kw_only=True):
    """What a run found."""

    written: int
    acknowledged: int
    pullable: int
    in_ledger: int
    notes: int
    kills: int
    retries: int


def run(rounds: int, notes: int, children: int, seed: int) -> Result:
    folder = database_with(children)
    try:
        phones = enrol_phones(folder, PHONES)
        work = pushes(phones, notes, 50, children)
        port = free_port()
        killer = Killer(folder, port, rounds, random.Random(seed))
        killer.start()
        address = f"http://127.0.0.1:{port}"
        outcome: Outcome = asyncio.run(push_all(address, work, PHONES))
        killer.finished.set()
        killer.join()
        # The same again: every op must be a duplicate by now, and nothing may be there twice.
        again = asyncio.run(push_all(address, work, PHONES))
        assert set(again.verdicts) == {"duplicate"}, again.verdicts
        found = pullable(address, phones)
        killer.stop()
        store = open_store(folder / "earlysign.db")
        in_ledger, stored = store.read_now(
            lambda tx: (tx.value("SELECT COUNT(*) FROM op"), tx.value("SELECT COUNT(*) FROM note"))
        )
        store.close_now()
        return Result(
            written=len(work) * 50,
            acknowledged=len(outcome.acknowledged),
            pullable=found,
            in_ledger=in_ledger,
            notes=stored,
            kills=killer.kills,
            retries=outcome.retries,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--notes", type=int, default=10_000)
    parser.add_argument("--children", type=int, default=5_000)
    parser.add_argument(
        "--phones", type=int, default=3, help="phones that are killed, each in so many rounds"
    )
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    result = run(arguments.rounds, arguments.notes, arguments.children, arguments.seed)
    print(result)
    whole = {result.acknowledged, result.pullable, result.in_ledger, result.notes}
    found = kill_phones.run(arguments.rounds, arguments.phones, arguments.seed)
    print(found)
    return 0 if whole == {result.written} and found.whole else 1


if __name__ == "__main__":
    raise SystemExit(main())
