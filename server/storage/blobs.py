"""Files on the server's disk, known by the SHA-256 of their bytes, whichever database engine is used.

    parts/<name>            what has arrived of an upload so far
    objects/ab/<digest>     whole files; their bytes never change
    made/<digest>.<form>    what was made from them, such as a thumbnail; can be made again at any time

A part grows through `Part`; what `sync` has returned for is on the disk. `keep` makes an object of it: the file is
synced, then its directory, and only then may the caller write its row. The part stays until `drop`, so a crash in
between finds it again. Everything here blocks: the doors go through `run`, which has threads of its own.

    BlobError
    ├── NoRoom              the disk is full, or nearly: nothing that was kept is lost
    ├── BlobsUnavailable    the folder cannot be used now (read-only, not there, failing)
    ├── PartBusy            another process is writing this part
    ├── BlobMissing         there is no such object
    └── BlobDamaged         an object's bytes are not those of its digest
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, TypeVar

from server.storage.copies import flush

if sys.platform != "win32":
    import fcntl

T = TypeVar("T")

HASH_BYTES = 128 * 1024
"""Read at once where a file is hashed: small beside the memory that an upload may take."""
THREADS = 8
"""Most of them wait for the disk. More than this many waiting writers only lengthen its queue."""
PIECES_MAX = 64
"""Buffers in one system call; Linux takes 1,024."""
VERIFIED_MAX = 4_096
"""Objects whose bytes this process has hashed and need not hash again while the file is unchanged."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class BlobError(Exception):
    """Something about a file on the server. No message holds a digest or a name."""


class NoRoom(BlobError):
    """The disk is full, or would be nearly so."""


class BlobsUnavailable(BlobError):
    """The folder cannot be used now."""


class PartBusy(BlobError):
    """Another process is writing this part."""


class BlobMissing(BlobError):
    """There is no such object."""


class BlobDamaged(BlobError):
    """The bytes on the disk are not those of the digest."""


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What the system refuses, in our words."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise NoRoom("The server's disk is full.") from error
        raise BlobsUnavailable(f"The server's folder failed ({os.strerror(error.errno or 0)}).") from error


class Part:
    """One upload's file, open for growing. Only one process and one thread at a time may have it."""

    def __init__(self, path: Path, durable: int) -> None:
        """`durable`: how many bytes are known to be on the disk. What lies beyond is cut off."""
        with _told():
            self._fresh = not path.exists()
            self._path = path
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._lock()
            with _told():
                if os.fstat(self._file).st_nlink > 1:
                    raise BlobsUnavailable("The part is an object already, whose bytes never change.")
                os.ftruncate(self._file, durable)
        except BaseException:
            os.close(self._file)
            raise
        self.end = durable

    def _lock(self) -> None:
        if sys.platform != "win32":
            try:
                fcntl.flock(
                    self._file, fcntl.LOCK_EX | fcntl.LOCK_NB
                )  # let go by the system, even after a kill
            except BlockingIOError as error:
                raise PartBusy("Another process is receiving this upload.") from error

    def write(self, pieces: Sequence[bytes]) -> None:
        """Add bytes at the end. After an error some of them may be there, but never counted."""
        waiting = [memoryview(piece) for piece in pieces if piece]
        with _told():
            while waiting:
                written = os.pwritev(self._file, waiting[:PIECES_MAX], self.end)
                self.end += written
                while waiting and written >= len(waiting[0]):
                    written -= len(waiting.pop(0))
                if written:
                    waiting[0] = waiting[0][written:]

    def head(self, count: int) -> bytes:
        """The first bytes."""
        with _told():
            return os.pread(self._file, count, 0)

    def sync(self) -> int:
        """Bring everything to the disk; how many bytes are there now."""
        with _told():
            os.fsync(self._file)
            if self._fresh:
                _sync_folder(self._path.parent)
                self._fresh = False
        return self.end

    def cut_back(self, end: int) -> None:
        """Take back what was written beyond `end`."""
        with _told():
            os.ftruncate(self._file, end)
        self.end = end

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


class Blobs:
    """The store in one folder. `reserve_bytes` of the disk are left free, so that notes still fit."""

    def __init__(self, folder: Path, reserve_bytes: int = 0) -> None:
        self.folder = folder
        self._reserve_bytes = reserve_bytes
        self._parts, self._objects, self._made = folder / "parts", folder / "objects", folder / "made"
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="earlysign-blobs")
        self._verified: dict[tuple[str, int, int, int], None] = {}

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread of this store."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=True)

    def room_for(self, count: int) -> None:
        """Raise NoRoom unless `count` more bytes fit and the reserve stays free."""
        with _told():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free
        if free - count < self._reserve_bytes:
            raise NoRoom("The server's disk is nearly full.")

    # Parts

    def open_part(self, name: str, durable: int) -> Part:
        """The part of that name, made where there is none. Close it."""
        with _told():
            _make_folder(self._parts)
        return Part(self._parts / name, durable)

    def durable(self, name: str, recorded: int) -> int:
        """How much of a part is there: what was recorded, unless the file has lost some of it.

        A part that `keep` has given a second name was synced whole before, though its row may have been lost.
        """
        try:
            found = (self._parts / name).stat()
        except FileNotFoundError:
            return 0
        return found.st_size if found.st_nlink > 1 else min(recorded, found.st_size)

    def parts(self) -> list[str]:
        """The names of all parts."""
        return sorted(os.listdir(self._parts)) if self._parts.is_dir() else []

    def drop(self, name: str) -> None:
        """Remove a part, if it is there."""
        with _told():
            (self._parts / name).unlink(missing_ok=True)

    def digest_of_part(self, name: str) -> str:
        """The SHA-256 of a part, read back from the file, in hex. Raises BlobMissing."""
        return _digest(self._parts / name)

    def read_part(self, name: str) -> Callable[[int, int], bytes]:
        """A reader (offset, count) of a part."""
        return _reader(self._parts / name)

    def keep(self, name: str, digest: str) -> None:
        """Make the object `digest` of a part that hashes so. When this returns it is on the disk.

        An object that is there already is replaced by the same bytes: so one that was damaged is whole again.
        """
        target = self._path(digest)
        part = self._parts / name
        aside = self._objects / f".{secrets.token_hex(8)}"
        with _told():
            _make_folder(self._objects)
            _make_folder(target.parent)
            flush(part)
            os.link(part, aside)
            os.chmod(aside, 0o400)
            os.replace(aside, target)
            aside.unlink(missing_ok=True)  # a rename onto another name of the same file does nothing
            _sync_folder(target.parent)

    # Objects

    def size(self, digest: str) -> int | None:
        """The size of an object, or None where there is none."""
        try:
            return self._path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def open_verified(self, digest: str) -> BinaryIO:
        """An object open for reading, its bytes known to be those of the digest (invariant 14).

        They are hashed at the first time and whenever the file has changed. Raises BlobMissing, BlobDamaged.
        """
        try:
            file = self._path(digest).open("rb")
        except FileNotFoundError:
            raise BlobMissing("The file is not in the store.") from None
        try:
            found = os.fstat(file.fileno())
            state = (digest, found.st_ino, found.st_size, found.st_mtime_ns)
            if state not in self._verified:
                if _digest_of(file) != digest:
                    raise BlobDamaged("The file is damaged.")
                file.seek(0)
                while len(self._verified) >= VERIFIED_MAX:
                    self._verified.pop(next(iter(self._verified)))
                self._verified[state] = None
        except BaseException:
            file.close()
            raise
        return file

    def check(self, digest: str) -> None:
        """Hash an object anew. Raises BlobMissing, BlobDamaged."""
        if _digest(self._path(digest)) != digest:
            raise BlobDamaged("The file is damaged.")

    def digests(self) -> Iterator[str]:
        """The digests of all objects."""
        if self._objects.is_dir():
            for folder in sorted(self._objects.iterdir()):
                if folder.is_dir():
                    yield from sorted(os.listdir(folder))

    def copy_from(self, other: Blobs, digest: str) -> None:
        """Have an object that another store has, on the disk when this returns. Raises BlobMissing, BlobDamaged.

        The bytes are hashed on their way, so that a damaged one is never passed on.
        """
        target, hasher = self._path(digest), hashlib.sha256()
        try:
            source = other._path(digest).open("rb")
        except FileNotFoundError:
            raise BlobMissing("The file is not in the store.") from None
        with source, _told():
            _make_folder(self._objects)
            _make_folder(target.parent)
            aside = self._objects / f".{secrets.token_hex(8)}"
            try:
                with os.fdopen(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o400), "wb") as made:
                    while block := source.read(HASH_BYTES):
                        hasher.update(block)
                        made.write(block)
                    made.flush()
                    os.fsync(made.fileno())
                if hasher.hexdigest() != digest:
                    raise BlobDamaged("The file is damaged.")
                os.replace(aside, target)
                _sync_folder(target.parent)
            finally:
                aside.unlink(missing_ok=True)

    # What was made from an object

    def made_path(self, digest: str, form: str) -> Path:
        """Where what was made from an object stands, if it was made."""
        return self._made / f"{digest}.{form}"

    @contextlib.contextmanager
    def making(self, digest: str, form: str) -> Iterator[Path]:
        """A path to write to; what is there at the end takes its place whole."""
        with _told():
            _make_folder(self._made)
        aside = self._made / f".{secrets.token_hex(8)}"
        try:
            yield aside
            with _told():
                if aside.exists():
                    flush(aside)
                    os.replace(aside, self.made_path(digest, form))
                    _sync_folder(self._made)
        finally:
            aside.unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        return self._objects / digest[:2] / digest


def _digest(path: Path) -> str:
    try:
        with path.open("rb", buffering=0) as file:
            return _digest_of(file)
    except FileNotFoundError:
        raise BlobMissing("The file is not in the store.") from None


def _digest_of(file: BinaryIO | object) -> str:
    hasher, buffer = hashlib.sha256(), bytearray(HASH_BYTES)
    view = memoryview(buffer)
    while count := file.readinto(buffer):  # type: ignore[union-attr]  # both kinds of file have it
        hasher.update(view[:count])
    return hasher.hexdigest()


def _reader(path: Path) -> Callable[[int, int], bytes]:
    def read(offset: int, count: int) -> bytes:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(count)

    return read


def _make_folder(folder: Path) -> None:
    """Make a folder that will still be there after a power cut, for the server's account only."""
    if not folder.is_dir():
        if not folder.parent.is_dir():
            _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    if sys.platform != "win32":  # Windows opens no folder, and writes its entries through
        flush(folder)
