"""`python -m tests.bench.alerts.stamped COMMITS serve ...`: the server, which writes down when it committed.

For each transaction that announces steps of alerts, a line with the id of its last step and the moment its commit was
on disk (`time.monotonic_ns`, which all processes of a machine share).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from server import cli
from server.records.steps import TOPIC
from server.storage.topics import Topics
from server.storage.writer import Writer


def main() -> None:
    commits = Path(sys.argv.pop(1)).open("w", buffering=1, encoding="ascii")  # noqa: SIM115  # open until the end
    at = 0
    commit, publish = Writer._commit, Topics.publish

    def committed(self: Writer, group: list[Any]) -> None:
        nonlocal at
        commit(self, group)
        at = time.monotonic_ns()

    def published(self: Topics, notices: Iterable[tuple[str, str]]) -> None:
        notices = list(notices)
        publish(self, notices)
        for topic, payload in notices:
            if topic == TOPIC:
                commits.write(f"{payload} {at}\n")

    Writer._commit = committed  # type: ignore[method-assign]
    Topics.publish = published  # type: ignore[method-assign]
    cli.main()


if __name__ == "__main__":
    main()
