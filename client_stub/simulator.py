"""Phones for rehearsals: they write given notes with no signal, then sync over a bad line until all is
receipted.

Everything but the line is the real thing: the store on disk, the outbox, the transport. Used by the
demonstration and by the tests that send whole data sets.
"""

from __future__ import annotations

import contextlib
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import msgspec

from client_stub.badline import BadLine
from client_stub.conversation import Patience
from client_stub.device import Device, Surroundings
from client_stub.store import Store
from client_stub.syncing import Progress, Sync
from client_stub.transport import Transport, TransportError
from sync.limits import OPS_PER_PUSH_MAX
from sync.note import Amendment, Note, Withdrawal

ENROL_TRIES_MAX = 40
"""On a line that is cut in half of all requests, forty tries all fail once in a million million."""
REHEARSAL_PATIENCE = Patience(tries_max=8, base_ms=20, cap_ms=500, wait_max_ms=10_000)
"""Waits far shorter than a phone's, so that a rehearsal of a whole shift takes seconds."""
DEADLINE_S = 300.0
PHONE_FOLDER = "phone-{number:03d}"


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the input where it is more than a bare note.

    `id` is the note's id (made up where it is missing), `phone` the number of the phone that writes it (from
    0; else the phones take turns). Exactly one of `note`, `amendment` and `withdrawal`; the last two need
    `id`.
    """

    id: str | None = None
    phone: int | None = None
    note: Note | None = None
    amendment: Amendment | None = None
    withdrawal: Withdrawal | None = None


class InputProblem(ValueError):
    """The file of notes cannot be used. The message names the line and the field, never a value."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """How bad the line is: probabilities for each request, and the seed that replays the run."""

    cut: float = 0.0
    repeat: float = 0.0
    seed: int = 1
    ops_per_push: int = OPS_PER_PUSH_MAX


class Summary(msgspec.Struct, kw_only=True):
    """What the phones did. `sent` counts an op every time it went on the wire; `lost` must be 0."""

    phones: int = 0
    written: int = 0
    sent: int = 0
    receipted: int = 0
    quarantined: int = 0
    waiting: int = 0
    unconfirmed: int = 0
    requests: int = 0
    retries: int = 0
    cuts: int = 0
    repeats: int = 0
    wiped: int = 0
    syncs: int = 0
    seconds: float = 0.0
    seed: int = 0
    all_sent: bool = True
    problems: list[str] = msgspec.field(default_factory=list)

    def add(self, other: Summary) -> None:
        """Add another phone's counts to these."""
        for name in self.__struct_fields__:
            if name in ("seconds", "seed", "all_sent", "problems"):
                continue
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.all_sent = self.all_sent and other.all_sent
        self.problems = sorted({*self.problems, *other.problems})


def read_entries(lines: Iterable[bytes]) -> list[Entry]:
    """The input, one JSON object a line: a bare `Note`, or an `Entry`. Raises InputProblem."""
    entries = []
    note_decoder = msgspec.json.Decoder(Note)
    entry_decoder = msgspec.json.Decoder(Entry)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
            entry = (
                Entry(note=note_decoder.decode(line))
                if "observed_at" in fields
                else entry_decoder.decode(line)
            )
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            _, found, path = str(error).rpartition(" - at `")
            where = f", field {path.rstrip('`')}" if found else ""
            raise InputProblem(
                f"Line {number}{where}: not a note. Each line is the JSON of one note."
            ) from None
        parts = [part for part in (entry.note, entry.amendment, entry.withdrawal) if part is not None]
        if len(parts) != 1 or (entry.note is None and entry.id is None):
            raise InputProblem(
                f"Line {number}: give one of note, amendment and withdrawal, and an id with the last two."
            )
        entries.append(entry)
    return entries


def deal(entries: Sequence[Entry], phones: int) -> list[list[Entry]]:
    """The entries of each phone, in their order. Those without a phone are dealt in turn."""
    hands: list[list[Entry]] = [[] for _ in range(phones)]
    turn = 0
    for entry in entries:
        if entry.phone is not None:
            if not 0 <= entry.phone < phones:
                raise InputProblem(f"A line names phone {entry.phone}, and there are {phones} (from 0).")
            hands[entry.phone].append(entry)
        else:
            hands[turn % phones].append(entry)
            turn += 1
    return hands


class Phone(msgspec.Struct, frozen=True, kw_only=True):
    """One phone to rehearse with. With `code` it enrols first, unless it is enrolled already."""

    folder: Path
    code: str | None = None
    server: str | None = None
    name: str = "rehearsal"


def rehearse(
    phones: Sequence[Phone],
    hands: Sequence[Sequence[Entry]],
    line: Line,
    *,
    passphrase: str | None,
    accept_unencrypted: bool = False,
    ca_file: Path | None = None,
    deadline_s: float = DEADLINE_S,
    parallel: int = 8,
    sync: bool = True,
    progress: Callable[[int, int], None] = lambda _written, _receipted: None,
) -> Summary:
    """Let every phone write its hand with no signal, then sync until everything is receipted or time is up.

    `progress(written, receipted)` is called from the phones' threads with what was added. Raises what
    opening a store raises; the line and the server only ever end up in the summary.
    """
    started = time.monotonic()
    deadline = started + deadline_s
    total = Summary(seed=line.seed)
    lock = threading.Lock()

    def tell(written: int, receipted: int) -> None:
        with lock:
            progress(written, receipted)

    def one(number: int) -> Summary:
        return _one_phone(
            phones[number],
            hands[number],
            msgspec.structs.replace(line, seed=line.seed * 1_000_003 + number),
            passphrase=passphrase,
            accept_unencrypted=accept_unencrypted,
            ca_file=ca_file,
            deadline=deadline,
            sync=sync,
            tell=tell,
        )

    with ThreadPoolExecutor(max_workers=max(1, min(parallel, len(phones)))) as pool:
        for summary in pool.map(one, range(len(phones))):
            total.add(summary)
    total.seconds = round(time.monotonic() - started, 2)
    return total


def _one_phone(
    phone: Phone,
    hand: Sequence[Entry],
    line: Line,
    *,
    passphrase: str | None,
    accept_unencrypted: bool,
    ca_file: Path | None,
    deadline: float,
    sync: bool,
    tell: Callable[[int, int], None],
) -> Summary:
    summary = Summary(phones=1)
    dice = random.Random(line.seed)
    around = Surroundings(
        sleep=lambda seconds: time.sleep(max(0.0, min(seconds, deadline - time.monotonic()))),
        random=dice.random,
    )
    context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    bad_line = BadLine(cut=line.cut, repeat=line.repeat, seed=line.seed, ssl_context=context)
    if phone.code is not None:
        store = Store.create(phone.folder, passphrase=passphrase, accept_unencrypted=accept_unencrypted)
    else:
        store = Store.open(phone.folder, passphrase=passphrase)
    with contextlib.closing(store), contextlib.closing(bad_line):
        device = Device(store, around)
        if device.identity() is None and not _enrol(device, phone, bad_line, ca_file, summary):
            return summary
        for entry in hand:
            _write(device, entry)
            summary.written += 1
            tell(1, 0)
        if sync:
            _sync_until_done(device, bad_line, line.ops_per_push, deadline, summary, tell)
        _count(device, bad_line, summary)
    return summary


def _enrol(device: Device, phone: Phone, line: BadLine, ca_file: Path | None, summary: Summary) -> bool:
    """Enrol over the bad line; the same code with the same key may be sent again."""
    if phone.code is None or phone.server is None:
        device.enrolled()  # raises, and says what to do
        return False
    with Transport(phone.server, line=_KeptLine(line)) as transport:
        for attempt in range(1, ENROL_TRIES_MAX + 1):
            try:
                device.enrol(transport, code=phone.code, name=phone.name, ca_file=ca_file)
            except TransportError as error:
                summary.retries += 1
                if attempt == ENROL_TRIES_MAX or getattr(error, "status", 500) < 500:
                    summary.problems.append(f"A phone could not enrol: {error} {error.hint}")
                    summary.all_sent = False
                    return False
                device.surroundings.sleep(0.05 * attempt)
            else:
                return True
    return False


def _write(device: Device, entry: Entry) -> None:
    if entry.note is not None:
        device.write(entry.note, note_id=entry.id)
    elif entry.amendment is not None and entry.id is not None:
        device.amend(entry.id, entry.amendment)
    elif entry.withdrawal is not None and entry.id is not None:
        device.withdraw(entry.id, entry.withdrawal)


def _sync_until_done(
    device: Device,
    line: BadLine,
    ops_per_push: int,
    deadline: float,
    summary: Summary,
    tell: Callable[[int, int], None],
) -> None:
    """Sync again and again, as a phone does that comes in and out of signal."""
    reached = 0
    patience = msgspec.structs.replace(REHEARSAL_PATIENCE, ops_per_push=ops_per_push)

    def progress(step: Progress) -> None:
        nonlocal reached
        if step.phase == "push" and step.done > reached:
            tell(0, step.done - reached)
            reached = step.done

    while True:
        reached = 0
        with Transport(device.enrolled().server, line=_KeptLine(line)) as transport:
            report = Sync(device, transport, patience=patience, progress=progress).run()
        summary.syncs += 1
        summary.sent += report.sent
        summary.retries += report.retries
        if report.wiped:
            summary.wiped = 1
            summary.receipted = report.receipted
            return
        if report.all_sent and not report.problems:
            return
        if time.monotonic() >= deadline:
            summary.problems.extend(report.problems or ["The time was up."])
            return
        device.surroundings.sleep(0.1)


class _KeptLine(httpx.BaseTransport):
    """The same line for one sync after another: closing this leaves it open."""

    def __init__(self, line: BadLine) -> None:
        self._line = line

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._line.handle_request(request)


def _count(device: Device, line: BadLine, summary: Summary) -> None:
    summary.requests = line.counts.requests
    summary.cuts = line.counts.cuts
    summary.repeats = line.counts.repeats
    if summary.wiped:
        return
    state = device.status().state
    summary.receipted = state.receipted
    summary.quarantined = state.quarantined
    summary.waiting = state.waiting
    summary.unconfirmed = state.unconfirmed
    summary.all_sent = state.all_sent
