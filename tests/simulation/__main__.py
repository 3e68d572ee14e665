"""Replay a seed: `python -m tests.simulation --seed N --steps M [--seeds K] [--engine sqlite|postgres]`."""

from __future__ import annotations

import argparse
import sys

from tests.simulation.engines import Postgres, Sqlite
from tests.simulation.running import Failure, fail, measured
from tests.storage.postgres_server import private_server, server_url


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from that one on")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--engine", choices=("sqlite", "postgres"), default="sqlite")
    given = parser.parse_args()
    seeds = range(given.seed, given.seed + given.seeds)
    try:
        if given.engine == "sqlite":
            measured(Sqlite(), seeds, given.steps, print)
        else:
            with private_server() as folder:
                measured(Postgres(lambda name: server_url(folder, name)), seeds, given.steps, print)
    except Failure as failure:
        return fail(failure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
