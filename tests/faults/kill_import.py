"""`python -m tests.faults.kill_import`: SIGKILL an import of a registry again and again, and run it to its end.

What stands in the database then is what an import that nobody killed leaves there, but for times and for numbers
given in order; and no helper process outlives the import it worked for.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from server.demo.population import write_registry_csv
from server.records import index
from server.storage import Store, open_store

POINTS = 3
ROUNDS_MAX = 60
ORPHAN_SECONDS_MAX = 30

TABLES = {
    "child": "SELECT registry_id, standing, restricted, looked_after, home_borough, school_borough,"
    " responsible_authority, owner_borough, date_of_birth, registry_digest, details, record, indexed, rev,"
    " left_registry_at IS NULL FROM child ORDER BY registry_id",
    "child_key": "SELECT c.registry_id, k.key FROM child_key k JOIN child c ON c.child_id = k.child_id"
    " ORDER BY c.registry_id, k.key",
    "child_key_run": "SELECT key FROM child_key_run",
    "key_run": "SELECT run FROM key_run",
    "child_borough": "SELECT c.registry_id, b.borough FROM child_borough b"
    " JOIN child c ON c.child_id = b.child_id ORDER BY c.registry_id, b.borough",
    "collected": "SELECT c.registry_id, COUNT(*) FROM audit_subject a JOIN child c"
    " ON a.id = CAST(c.child_id AS TEXT) WHERE a.kind = 'child' GROUP BY c.registry_id ORDER BY c.registry_id",
}


class Result(msgspec.Struct, kw_only=True):
    """What a run found: fingerprints of the tables after the kills, and of an import that went through."""

    kills: int
    interrupted: int
    killed: dict[str, str]
    whole: dict[str, str]
    names_alike: bool
    orphans: int


def start(data: Path, file: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "server.cli", "import-children", str(file), "--data", str(data)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # so that what it started can be told from all else
    )


def fingerprints(store: Store) -> dict[str, str]:
    """A digest of each table's rows."""
    found = {}
    for name, sql in TABLES.items():
        digest = hashlib.sha256()
        for row in store.read_now(lambda tx, sql=sql: tx.rows(sql)):  # type: ignore[misc]
            digest.update(repr(row).encode())
        found[name] = digest.hexdigest()
    return found


def living(session: int) -> int:
    """How many processes of a session there are still."""
    count = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        count += int(fields[3]) == session and fields[0] != "Z"
    return count


def ended_before(process: subprocess.Popen[bytes], database: Path, children: int) -> bool:
    """Wait until so many children are written. True where the import ended first."""
    while process.poll() is None:
        if database.exists():
            # Before its first commit the file has no tables.
            with (
                contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection,
                contextlib.suppress(sqlite3.OperationalError),
            ):
                (written,) = connection.execute("SELECT COUNT(*) FROM child").fetchone()
                if written >= children:
                    return False
        time.sleep(0.01)
    return True


def ended_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait so long at most. True where the import ended."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    return process.poll() is not None


def run(children: int, seed: int) -> Result:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="earlysign-kill-import-") as folder:
        file = Path(folder) / "known.csv"
        write_registry_csv(file, seed, children)
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        began = time.monotonic()
        if start(whole, file).wait(timeout=600):
            raise SystemExit("The import that nobody killed failed.")
        takes = time.monotonic() - began
        kills, orphans = 0, 0
        # Points of its work, which it passes on a machine of any speed, and then moments that nobody chose.
        points = sorted(rng.randrange(1, children) for _ in range(POINTS))
        moments = [rng.uniform(0.15, 0.9) * takes for _ in range(ROUNDS_MAX)]
        for point in (*points, *moments):
            process = start(killed, file)
            ended = (
                ended_before(process, killed / "earlysign.db", point)
                if isinstance(point, int)
                else ended_within(process, point)
            )
            if ended:
                break
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            deadline = time.monotonic() + ORPHAN_SECONDS_MAX
            while living(process.pid) and time.monotonic() < deadline:
                time.sleep(0.05)
            orphans += living(process.pid)
        stores = [open_store(one / "earlysign.db") for one in (killed, whole)]
        try:
            names = [store.read_now(index.load_frequencies) for store in stores]
            return Result(
                kills=kills,
                interrupted=stores[0].read_now(
                    lambda tx: tx.value("SELECT COUNT(*) FROM import_run WHERE ended_at IS NULL")
                ),
                killed=fingerprints(stores[0]),
                whole=fingerprints(stores[1]),
                names_alike=names[0] is not None and names[0] == names[1],
                orphans=orphans,
            )
        finally:
            for store in stores:
                store.close_now()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--children", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    result = run(arguments.children, arguments.seed)
    print(result)
    return 0 if result.killed == result.whole and result.names_alike and not result.orphans else 1


if __name__ == "__main__":
    raise SystemExit(main())
