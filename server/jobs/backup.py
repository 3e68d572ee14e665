"""Backups that are tested before they count, and the way back from one.

A backup is a folder: the copy of the database, the server's secret key, a list of the attachments, and
`manifest.json`, which says what belongs to it and by which digests it is recognised. It appears under its name when
it is whole and on disk. The attachments themselves, whose bytes never change, stand once beside all backups of a
folder, so that one of every night costs only what is new.
From then on phones may forget the notes that it holds, and keep all later ones, so that a server which comes
back from it is sent the rest (invariant 11).

What runs: `earlysign backup` and `earlysign restore`; have the first run by a timer.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from server.access import sessions
from server.access.crypto import SECRET_FILE, load_secret
from server.audit import Actor
from server.records import attachments, ledger, reference, who_is_who
from server.records.ledger import Backup
from server.storage import StorageError, Store, Transaction, open_store
from server.storage.blobs import BlobDamaged, BlobError, BlobMissing, Blobs
from server.storage.copies import copy_database, copy_name, flush, put_in_place

MANIFEST = "manifest.json"
ATTACHMENTS = "attachments"
LIST = "attachments.txt"
FORMAT = 1
ATTACHMENTS_AT_ONCE = 500
BLOCK_BYTES = 1 << 20
ASIDE = "before-restore"


class BackupError(Exception):
    """A backup or restore cannot go on: what is wrong, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a backup."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds. `begun_at` is in milliseconds since the epoch, UTC."""

    format: int
    begun_at: int
    database: str
    files: tuple[Piece, ...]


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was made. `damaged`: attachments whose bytes on the server are no longer theirs."""

    folder: Path
    attachments: int
    damaged: tuple[str, ...]


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore did: when the backup was begun (ms), what was moved aside, and how many attachments came."""

    begun_at: int
    moved: tuple[Path, ...]
    attachments: int


def make(store: Store, database: str, data: Path, secret: str, to: Path, *, actor: Actor, now: int) -> Made:
    """Back up the database in use, the secret key and the attachments into a new folder below `to`.

    `secret` is the setting of that name, "" where the key is in `data`. Raises BackupError and StorageError.
    """
    name = f"earlysign-{_stamp(now)}"
    folder, part = to / name, to / f"{name}.part"
    if folder.exists():
        raise BackupError(
            f"There is a backup of that name already: {folder}.", "Wait a second and try again."
        )
    _make_private(to)
    _make_private(part)
    try:
        # Read before the copy begins: all of this is in the copy, whatever comes meanwhile.
        marks = begin(store)
        copy_database(database, part / copy_name(database))
        _write(part / SECRET_FILE, load_secret(data, secret))
        kept, damaged = _copy_attachments(store, Blobs(data / ATTACHMENTS), Blobs(to / ATTACHMENTS))
        _write(part / LIST, "".join(f"{digest}\n" for digest in kept).encode())
        pieces = tuple(_piece(path) for path in sorted(part.iterdir()))
        manifest = Manifest(format=FORMAT, begun_at=now, database=copy_name(database), files=pieces)
        _write(part / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
        flush(part)
        os.replace(part, folder)
        flush(to)
    except BlobError as error:
        raise BackupError(str(error), "Check the folder and the free space.") from None
    except OSError as error:
        raise BackupError(
            f"The backup could not be written: {error.strerror}.", "Check the folder and the free space."
        ) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    done = Backup(name=name, begun_at=now)
    store.write_now(lambda tx: ledger.backed_up(tx, actor, done, marks, now=now))
    return Made(folder=folder, attachments=len(kept), damaged=tuple(damaged))


def begin(store: Store) -> list[tuple[int, int]]:
    """What a backup that copies the database from now on will hold of each numbering of a phone."""

    def work(tx: Transaction) -> list[tuple[int, int]]:
        who_is_who.hold(tx)  # no push is under way that has not heard that backups are kept
        return ledger.begin_backup(tx)

    return store.write_now(work)


def _copy_attachments(store: Store, here: Blobs, there: Blobs) -> tuple[list[str], list[str]]:
    """Copy what the backups do not have yet: (all that are there now, those that are missing or damaged here).

    One damaged photograph must not keep the notes from being backed up.
    """
    kept, damaged, after = list[str](), list[str](), ""
    while page := store.read_now(_page(after)):
        for digest, size in page:
            try:
                if there.size(digest) != size:
                    there.copy_from(here, digest)
                kept.append(digest)
            except (BlobMissing, BlobDamaged):
                damaged.append(digest)
        after = page[-1][0]
    return kept, damaged


def _page(after: str) -> Callable[[Transaction], list[tuple[str, int]]]:
    return lambda tx: attachments.everything(tx, after, ATTACHMENTS_AT_ONCE)


def _listed(folder: Path) -> list[str]:
    return (folder / LIST).read_text().split()


def check(folder: Path) -> Manifest:
    """Read a backup's manifest and every byte that it names. Raises BackupError where something is amiss."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except OSError:
        raise BackupError(
            f"{folder} holds no {MANIFEST}: it is not a backup.",
            "Give the folder that earlysign backup made.",
        ) from None
    except msgspec.MsgspecError:
        raise BackupError(f"{MANIFEST} of this backup is damaged.", "Use another backup.") from None
    if manifest.format != FORMAT:
        raise BackupError(
            f"This backup has format {manifest.format}, and this version reads {FORMAT}.",
            "Restore it with the version that made it, then upgrade.",
        )
    for piece in manifest.files:
        path = folder / piece.name
        if path.parent != folder or not path.is_file() or _piece(path) != piece:
            raise BackupError(f"{piece.name} of this backup is missing or changed.", "Use another backup.")
    beside = Blobs(folder.parent / ATTACHMENTS)
    for digest in _listed(folder):
        try:
            beside.check(digest)
        except BlobError:
            raise BackupError(
                "An attachment of this backup is missing or changed.",
                f"The folder {ATTACHMENTS} belongs beside the backup, whole.",
            ) from None
    return manifest


def restore(folder: Path, database: str, data: Path, *, replace: bool, now: int) -> Restored:
    """Put a backup in the place of the database, which is moved aside and never deleted.

    The server must be stopped. What comes back has another incarnation, so that phones send again what was
    received after the backup, and nobody is signed in. Raises BackupError and StorageError.
    """
    manifest = check(folder)
    if manifest.database != copy_name(database):
        raise BackupError(
            "This backup is of the other kind of database.",
            "Set EARLYSIGN_DATABASE to the kind it was made of.",
        )
    _make_private(data)
    moved: list[Path] = []

    def aside(path: Path) -> Path:
        moved.append(path.with_name(f"{path.name}.{ASIDE}-{_stamp(now)}"))
        return moved[-1]

    try:
        put_in_place(folder / manifest.database, database, aside if replace else None, _begin_again)
        key, kept = data / SECRET_FILE, (folder / SECRET_FILE).read_bytes()
        if key.exists() and key.read_bytes() != kept:
            os.replace(key, aside(key))
        if not key.exists():
            _write(key, kept)
            flush(data)
        brought = _bring_back(folder, Blobs(data / ATTACHMENTS))
    except BlobError as error:
        raise BackupError(str(error), "Make room, and run earlysign restore again with --replace.") from None
    except StorageError as error:
        if replace:
            raise
        raise BackupError(
            str(error),
            "Give --replace to put the backup in its place: a file is moved aside, tables of PostgreSQL are gone then.",
        ) from None
    except OSError as error:
        raise BackupError(
            f"The backup could not be put back: {error.strerror}.", "Check the folder."
        ) from None
    return Restored(begun_at=manifest.begun_at, moved=tuple(moved), attachments=brought)


def _bring_back(folder: Path, here: Blobs) -> int:
    """Copy the attachments of a backup that are not here; how many. Those that came later stay."""
    beside, brought = Blobs(folder.parent / ATTACHMENTS), 0
    for digest in _listed(folder):
        if here.size(digest) != beside.size(digest):
            here.copy_from(beside, digest)
            brought += 1
    return brought


def begin_again(tx: Transaction, incarnation: Callable[[], str] | None = None) -> None:
    """Make what came from a backup ready to serve. `incarnation` makes its new id, at random where not given."""
    if incarnation is None:
        reference.begin_new_life(tx)
    else:
        reference.begin_new_life(tx, incarnation)
    ledger.restored(tx)
    sessions.end_all(tx)


def _begin_again(database: str) -> None:
    """Bring what came from a backup up to date and make it ready: all of it or nothing."""
    store = open_store(database)
    try:
        store.migrate()
        store.write_now(begin_again)
        # What is restored has no statistics, and a shift that ends before the engine makes them would wait for plans
        # of empty tables.
        store.write_now(lambda tx: tx.analyse())
    finally:
        store.close_now()


def _piece(path: Path) -> Piece:
    digest, size = hashlib.sha256(), 0
    for block in _blocks(path):
        digest.update(block)
        size += len(block)
    return Piece(name=path.name, size=size, sha256=digest.hexdigest())


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BackupError(f"{folder} cannot be made: {error.strerror}.", "Choose another folder.") from None


def _stamp(now: int) -> str:
    return datetime.datetime.fromtimestamp(now / 1000, datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
