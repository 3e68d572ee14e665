"""The phones of the demo: each a process of `earlysign-device` with a store folder and a passphrase of its own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from server.demo.cast import Written
from server.demo.processes import DemoError, Processes, tail

PROGRAM = "client_stub"
PHONE_SECONDS_MAX = 150.0
"""A phone that takes longer than this is stuck: the slowest takes about ten seconds."""

LOOK_EVERY_SECONDS = 0.1
SENT_ALL, SOMETHING_WAITS = 0, 1


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """How bad a phone's line is: shares of requests that are cut, and of pushes that arrive twice."""

    cut: float = 0.0
    repeat: float = 0.0
    batch: int = 200
    seed: int = 1


class Phones:
    """All phones, by number. Raises DemoError where one does not do what it was asked.

    `check_server` raises when the server has ended: phones would wait for it as long as they are allowed to.
    """

    def __init__(
        self,
        processes: Processes,
        folder: Path,
        names: Sequence[str],
        passphrases: Sequence[str],
        check_server: Callable[[], None],
    ) -> None:
        self._processes = processes
        self._folder = folder
        self._names = tuple(names)
        self._passphrases = tuple(passphrases)
        self._check_server = check_server
        self._printed = 0

    def __len__(self) -> int:
        return len(self._names)

    def enrol(self, address: str, codes: Sequence[str], done: Callable[[int], None]) -> None:
        """Enrol every phone with its code; `done` is told how many are."""
        self._together(
            {
                phone: self._start(
                    phone, ["enrol", "--server", address, "--code", code, "--name", self._names[phone]]
                )
                for phone, code in enumerate(codes)
            },
            done,
        )

    def write(self, notes: Iterable[Written], done: Callable[[int], None]) -> list[dict[str, Any]]:
        """Let the phones write these notes with no signal; the summary of each phone that wrote."""
        by_phone: dict[int, list[Written]] = {}
        for note in notes:
            by_phone.setdefault(note.phone, []).append(note)
        running = {}
        for phone, own in by_phone.items():
            lines = b"\n".join(note.line() for note in own) + b"\n"
            running[phone] = self._start(phone, ["simulate", "-", "--offline"], typed=lines)
        return [_json(out) for out in self._together(running, done, allowed=(SOMETHING_WAITS,))]

    def type_note(self, phone: int, arguments: Sequence[str]) -> str:
        """Write one note as an officer types it; its id."""
        running = {phone: self._start(phone, ["note", *arguments, "--json"])}
        return str(_json(self._together(running, lambda _: None)[0])["id"])

    def sync(self, lines: dict[int, Line], done: Callable[[int], None]) -> list[dict[str, Any]]:
        """Let these phones sync at the same time until all is signed for; the summary of each."""
        running = {
            phone: self._start(
                phone,
                [
                    "simulate", "-", "--cut", str(line.cut), "--repeat", str(line.repeat),
                    "--batch", str(line.batch), "--seed", str(line.seed), "--deadline", f"{PHONE_SECONDS_MAX:.0f}",
                ],
            )
            for phone, line in lines.items()
        }  # fmt: skip
        return [_json(out) for out in self._together(running, done, allowed=(SENT_ALL, SOMETHING_WAITS))]

    def status(self) -> list[dict[str, Any]]:
        """What each phone says of itself."""
        running = {phone: self._start(phone, ["status", "--json"]) for phone in range(len(self))}
        return [
            _json(out) for out in self._together(running, lambda _: None, allowed=(SENT_ALL, SOMETHING_WAITS))
        ]

    def _start(
        self, phone: int, arguments: Sequence[str], typed: bytes = b""
    ) -> tuple[subprocess.Popen[bytes], Path]:
        self._printed += 1
        store = self._folder / self._names[phone]
        out = self._folder / f"{self._names[phone]}-{self._printed:03d}-{arguments[0]}.out"
        command, *rest = arguments
        process = self._processes.start(
            [PROGRAM, command, *rest, "--store", str(store)],
            environment={"EARLYSIGN_DEVICE_PASSPHRASE": self._passphrases[phone]},
            out=out,
            typed=typed,
        )
        return process, out

    def _together(
        self,
        running: dict[int, tuple[subprocess.Popen[bytes], Path]],
        done: Callable[[int], None],
        allowed: Sequence[int] = (SENT_ALL,),
    ) -> list[Path]:
        """Wait for phones that work at the same time; what each printed, in the order of `running`."""
        deadline = time.monotonic() + PHONE_SECONDS_MAX + 10
        while True:
            finished = sum(process.poll() is not None for process, _ in running.values())
            done(finished)
            if finished == len(running):
                break
            self._check_server()
            if time.monotonic() > deadline:
                raise DemoError(f"{len(running) - finished} phones did not finish in time.")
            time.sleep(LOOK_EVERY_SECONDS)
        for phone, (process, out) in running.items():
            if process.returncode not in allowed:
                raise DemoError(
                    f"The phone of {self._names[phone]} ended with code {process.returncode}.", tail(out)
                )
        return [out for _, out in running.values()]


def _json(out: Path) -> dict[str, Any]:
    """The last line that a phone printed, which is JSON."""
    lines = out.read_bytes().splitlines()
    try:
        found: dict[str, Any] = msgspec.json.decode(lines[-1], type=dict[str, Any])
    except (IndexError, msgspec.DecodeError):
        raise DemoError("A phone printed something else than was expected.", tail(out)) from None
    return found
