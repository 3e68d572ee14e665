"""A plain store of lines: Litestar, msgspec and SQLite (one commit a push), without the road. The floor.

It reads each op, keeps its bytes under its key, and answers. No linkage, rules, audit, accounts or receipts:
what `tests.bench.push` takes longer than this is the price of all that.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import uvicorn
from litestar import Litestar, Request, get, post

from sync.envelope import Outcome, PushAnswer, Verdict, split_lines
from sync.operations import digest, parse_envelope


def make_app(folder: Path) -> Litestar:
    """The application on a database of its own in `folder`."""
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE op (device TEXT, epoch TEXT, seq INTEGER, digest TEXT, line BLOB,"
        " PRIMARY KEY (device, epoch, seq)) STRICT"
    )
    writer = ThreadPoolExecutor(1)

    def write(rows: list[tuple[str, str, int, str, bytes]]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT OR IGNORE INTO op VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute("COMMIT")

    @post("/api/sync/push", status_code=200, request_max_body_size=None)
    async def push(request: Request[Any, Any, Any]) -> PushAnswer:
        lines = split_lines(await request.body())
        read = [(parse_envelope(line), line) for line in lines]
        rows = [(e.device, e.epoch, e.seq, digest(line), line) for e, line in read]
        await asyncio.get_running_loop().run_in_executor(writer, write, rows)
        return PushAnswer(
            verdicts=tuple(Verdict(epoch=e.epoch, seq=e.seq, v=Outcome.APPLIED) for e, _ in read)
        )

    @get("/health/ready")
    async def ready() -> str:
        return "ready"

    return Litestar([push, ready], openapi_config=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("serve")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    uvicorn.run(make_app(arguments.data), port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
