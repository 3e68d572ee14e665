"""`python -m tests.faults.kill9 --rounds N`: SIGKILL the server in the middle of a push, restart, retry.

Sixteen phones push while the server is killed again and again; what it acknowledged before a kill must be
there after it, and everything must be there once at the end (invariants 1 to 3 of the protocol).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import msgspec

from server.storage import open_store
from tests.bench.push import Outcome, pullable, push_all
from tests.bench.setting import database_with, enrol_phones, free_port, pushes, start_server

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


class Killer(threading.Thread):
    """Kills the server after random times and starts it again, `rounds` times."""

    def __init__(self, folder: Path, port: int, rounds: int, rng: random.Random) -> None:
        super().__init__(daemon=True)
        self.folder, self.port, self.rounds, self.rng = folder, port, rounds, rng
        self.process: subprocess.Popen[bytes] = start_server(folder, port)
        self.kills = 0
        self.finished = threading.Event()

    def run(self) -> None:
        for _ in range(self.rounds):
            if self.finished.wait(self.rng.uniform(0.3, 1.5)):
                return
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.kills += 1
            self.process = start_server(self.folder, self.port)

    def stop(self) -> None:
        self.finished.set()
        self.join()
        self.process.terminate()
        self.process.wait()


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
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    result = run(arguments.rounds, arguments.notes, arguments.children, arguments.seed)
    print(result)
    whole = {result.acknowledged, result.pullable, result.in_ledger, result.notes}
    return 0 if whole == {result.written} else 1


if __name__ == "__main__":
    raise SystemExit(main())
