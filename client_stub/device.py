"""The phone without its screen: enrol, write, amend, withdraw, say what became of it, wipe. Works offline.

A note is safe when `write` returns: its number and its frozen bytes are on disk. `syncing.py` carries it
from there.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from client_stub import album, keys
from client_stub.album import Album, AttachmentState
from client_stub.standing import Identity, Status, look
from client_stub.store import Item, Store
from client_stub.transport import ClockWrong, Enrolled, Transport
from sync import inbox
from sync.holdings import Clocks
from sync.limits import ATTACHMENT_BYTES_MAX, OP_BYTES_MAX
from sync.note import Amendment, Note, Withdrawal
from sync.operations import Body, Kind, digest, freeze, renumbered
from sync.outbox import sync_state
from sync.timing import Heard, time_known

EPOCH_BYTES = 12
"""96 random bits: no two installations ever share an epoch."""

MONOTONIC = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Another one after every boot; where the system has none, one made from when it must have been."""
    try:
        return BOOT_ID_FILE.read_text("ascii").strip()
    except OSError:
        return f"since-{(time.time_ns() - time.clock_gettime_ns(MONOTONIC)) // 60_000_000_000}"


def _nothing(_point: str) -> None:
    return None


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a phone does not decide itself. Tests and the simulator bring their own."""

    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    sleep: Callable[[float], None] = time.sleep
    """Seconds."""
    monotonic_ms: Callable[[], int] = lambda: time.clock_gettime_ns(MONOTONIC) // 1_000_000
    """Counts from a boot, also while the device sleeps; nobody can set it."""
    boot_id: Callable[[], str] = lambda: boot_id()
    random: Callable[[], float] = random.random
    """In [0, 1): jitter, nothing secret."""
    new_epoch: Callable[[], str] = lambda: os.urandom(EPOCH_BYTES).hex()
    new_id: Callable[[], str] = lambda: str(uuid.uuid4())
    reached: Callable[[str], None] = _nothing
    """Called at named points between two steps, so that a test can end the process there."""


class DeviceError(Exception):
    """The device cannot do that. `hint` says what to do. Never holds a note's content."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Device:
    """One phone over its open store."""

    def __init__(self, store: Store, surroundings: Surroundings | None = None) -> None:
        self.store = store
        self.surroundings = surroundings or Surroundings()

    # Who this is

    def identity(self) -> Identity | None:
        """Who this device is, or None where it is not enrolled."""
        text = self.store.get("identity")
        return None if text is None else msgspec.json.decode(text, type=Identity)

    def enrolled(self) -> Identity:
        """Who this device is. Raises DeviceError where it is not enrolled."""
        identity = self.identity()
        if identity is None:
            raise DeviceError(
                "This device is not enrolled.",
                "Ask the administrator for a code, then: earlysign-device enrol --server ADDRESS --code CODE",
            )
        return identity

    def private_key(self) -> str:
        """The private key (PEM), made and stored at first use: before the server hears of it."""
        pem = self.store.get("private_key")
        if pem is None:
            pem = keys.new_private_key()
            with self.store.transaction():
                self.store.put("private_key", pem)
        return pem

    def corrected_now_ms(self) -> int:
        """The time by the server's clock, as well as this device knows it."""
        return self.surroundings.now_ms() + int(self.store.get("clock_offset_ms") or 0)

    def clocks(self) -> Clocks:
        """All that this device knows of the time."""
        around = self.surroundings
        return Clocks(wall=self.corrected_now_ms(), monotonic=around.monotonic_ms(), boot_id=around.boot_id())

    def time_ms(self) -> int:
        """The time by which notes are dated: the server's, as well as this device knows it, whatever its clock says."""
        text, around = self.store.get("clock_heard"), self.surroundings
        heard = None if text is None else msgspec.json.decode(text, type=Heard)
        return time_known(
            heard, wall=around.now_ms(), monotonic=around.monotonic_ms(), boot_id=around.boot_id()
        )

    def correct_clock(self, server_time: int, at: int) -> None:
        """Keep the difference between the server's clock and this one at the moment `at` of this one."""
        with self.store.transaction():
            self.keep_time(server_time, at)

    def keep_time(self, server_time: int, at: int) -> None:
        """As `correct_clock`, in the caller's transaction."""
        around = self.surroundings
        heard = Heard(
            server=server_time,
            wall=at,
            monotonic=max(0, around.monotonic_ms() - max(0, around.now_ms() - at)),
            boot_id=around.boot_id(),
        )
        self.store.put("clock_offset_ms", str(server_time - at))
        self.store.put("clock_heard", msgspec.json.encode(heard).decode())

    def enrol(self, transport: Transport, *, code: str, name: str, ca_file: Path | None = None) -> Identity:
        """Spend a one-time code. Safe to repeat with the same code when the answer was lost.

        Raises DeviceError where it is enrolled already, TransportError, KeyProblem.
        """
        if self.identity() is not None:
            raise DeviceError("This device is enrolled already.", "Wipe it first: earlysign-device wipe")
        pem = self.private_key()
        self.surroundings.reached("enrol.key_stored")
        try:
            answer = self._ask_to_enrol(transport, pem, code, name)
        except ClockWrong as wrong:
            self.correct_clock(wrong.server_time, self.surroundings.now_ms())
            answer = self._ask_to_enrol(transport, pem, code, name)
        self.surroundings.reached("enrol.answered")
        keys.receipt_verifier(
            answer.server_key
        )  # a key that cannot be used must fail now, not at the first sync
        identity = Identity(
            server=transport.server,
            device_id=answer.device_id,
            user=answer.user,
            audience=answer.audience or transport.server,
            server_key=answer.server_key,
            name=name,
            officer_name=answer.officer_name,
            ward=answer.ward,
            borough=answer.borough,
            ca_file=None if ca_file is None else str(ca_file.resolve()),
        )
        with self.store.transaction():
            self.store.put("identity", msgspec.json.encode(identity).decode())
            self.start_epoch()
        return identity

    def _ask_to_enrol(self, transport: Transport, pem: str, code: str, name: str) -> Enrolled:
        proof = keys.enrolment_proof(
            pem, code=code, audience=transport.server, now_ms=self.corrected_now_ms()
        )
        return transport.enrol(code=code, public_key=keys.public_jwk(pem), name=name, proof=proof)

    # Writing

    def write(self, note: Note, *, note_id: str | None = None, attach: Sequence[Path] = ()) -> str:
        """Keep a new note, with files, and give its id. Needs no signal. Raises DeviceError, AttachmentProblem."""
        return self._append(Kind.NOTE_WRITE, note_id or self.surroundings.new_id(), note, attach)

    def amend(self, note_id: str, amendment: Amendment, *, attach: Sequence[Path] = ()) -> str:
        """Keep an amendment to the note of that id, with files. Raises DeviceError, AttachmentProblem."""
        return self._append(Kind.NOTE_AMEND, note_id, amendment, attach)

    def withdraw(self, note_id: str, withdrawal: Withdrawal) -> str:
        """Keep the withdrawal of the note of that id. Raises DeviceError."""
        return self._append(Kind.NOTE_WITHDRAW, note_id, withdrawal)

    def find_note(self, beginning: str) -> str:
        """The full id of the one note written here whose id begins so. Raises DeviceError."""
        ids = {i.entity_id for i in self.store.items() if i.kind == Kind.NOTE_WRITE}
        found = [note_id for note_id in ids if note_id == beginning] or [
            note_id for note_id in ids if note_id.startswith(beginning)
        ]
        if len(found) != 1:
            what = "No note" if not found else "More than one note"
            raise DeviceError(
                f"{what} on this device has an id that begins so.", "earlysign-device status lists them."
            )
        return found[0]

    def _append(self, kind: Kind, entity_id: str, body: Body, attach: Sequence[Path] = ()) -> str:
        identity = self.enrolled()
        chosen = album.choose(attach, int(self.store.get("attachment_bytes_max") or ATTACHMENT_BYTES_MAX))
        if chosen and not isinstance(body, Withdrawal):
            named = (*body.attachments, *(one.attached for one in chosen))
            body = msgspec.structs.replace(body, attachments=named)
        with self.store.transaction():
            if self.store.get("closed"):
                raise DeviceError(
                    "This device is about to be wiped, as the server told it, and keeps nothing more.",
                    "Write it on another device, or ask the administrator.",
                )
            epoch = self.current_epoch()
            self.append_frozen(identity, epoch, kind, entity_id, body)
            Album(self.store).keep(chosen, entity_id)
            self.surroundings.reached("write.before_commit")
        self.surroundings.reached("write.after_commit")
        return entity_id

    def append_frozen(self, identity: Identity, epoch: str, kind: Kind, entity_id: str, body: Body) -> int:
        """Freeze an op and keep its bytes; gives its position. In a transaction. Raises DeviceError."""

        def frozen(seq: int) -> tuple[bytes, str]:
            line = freeze(
                device=identity.device_id,
                epoch=epoch,
                seq=seq,
                user=identity.user,
                kind=kind,
                entity_id=entity_id,
                body=body,
            )
            _check(line, identity.device_id)
            return line, digest(line)

        return self.store.append(
            epoch=epoch,
            kind=kind.value,
            entity_id=entity_id,
            written_at=self.surroundings.now_ms(),
            freeze=frozen,
        )

    # Epochs

    def current_epoch(self) -> str:
        """The epoch of new ops. A copy of the store (another file) starts its own. In a transaction."""
        epoch = self.store.get("epoch")
        if epoch is None or self.store.get("file_identity") != self.store.file_identity():
            return self.start_epoch()
        return epoch

    def start_epoch(self) -> str:
        """Number new ops from 1 under a new random epoch. Call it in a transaction."""
        epoch = self.surroundings.new_epoch()
        self.store.put("epoch", epoch)
        self.store.put("file_identity", self.store.file_identity())
        return epoch

    def issue_again(self, item: Item) -> None:
        """Freeze anew, under this epoch, an op whose number was taken. In a transaction."""
        if item.line is None:
            return
        line, epoch = item.line, self.current_epoch()

        def frozen(seq: int) -> tuple[bytes, str]:
            # The body stays as it is: another release wrote it, perhaps, and this one must not get stuck on it.
            again = renumbered(line, epoch=epoch, seq=seq)
            return again, digest(again)

        successor = self.store.append(
            epoch=epoch,
            kind=item.kind,
            entity_id=item.entity_id,
            written_at=self.surroundings.now_ms(),
            freeze=frozen,
        )
        self.store.reissued(item.position, successor)

    # Looking

    def status(self) -> Status:
        """What the officer is told: read from disk, never from hope."""
        return look(self.store, self.identity())

    def attachments_waiting(self) -> int:
        """How many photographs and recordings the server has not signed for."""
        return sum(one.state is AttachmentState.WAITING for one in Album(self.store).all())

    # Leaving

    def wipe(self) -> None:
        """Destroy everything on this device. Raises DeviceError while something is unsent (invariant 10)."""
        self.require_all_sent()
        self.store.erase(self.surroundings.now_ms(), "by hand")

    def require_all_sent(self) -> None:
        """Raises DeviceError while something is on this device alone, for all that the server has signed."""
        state, files = sync_state(self.store.all_entries()), self.attachments_waiting()
        if not state.all_sent:
            what = f"{state.waiting + state.unconfirmed} of your entries are only on this device, or not signed for"
            raise DeviceError(
                f"{what} by the server, so it is not wiped.", "Sync first: earlysign-device sync"
            )
        if files:
            raise DeviceError(
                f"{files} photographs or recordings are only on this device, so it is not wiped.",
                "Sync first: earlysign-device sync",
            )


def _check(line: bytes, device_id: str) -> None:
    """Refuse now, while the officer is looking, what the server would set aside. Raises DeviceError."""
    arrival = inbox.read_line(0, line, device=device_id)
    if arrival.fault is None:
        return
    if len(line) > OP_BYTES_MAX:
        raise DeviceError(
            f"The note is too long ({len(line) // 1024} kB; at most {OP_BYTES_MAX // 1024} kB).",
            "Split it into two notes.",
        )
    place = (arrival.at or "$").removeprefix("$").lstrip(".") or "the note"
    raise DeviceError(
        f"The note cannot be sent as it is: {place} is not valid.", "Correct it and write it again."
    )
