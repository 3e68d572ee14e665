"""Kills the server of a fault test, again and again."""

from __future__ import annotations

import random
import signal
import subprocess
import threading
from pathlib import Path

from tests.bench.setting import start_server


class Killer(threading.Thread):
    """Kills the server after random times and starts it again, `rounds` times."""

    def __init__(self, folder: Path, port: int, rounds: int, rng: random.Random) -> None:
        super().__init__(daemon=True)
        self.folder, self.port, self.rounds, self.rng = folder, port, rounds, rng
        self.process: subprocess.Popen[bytes] = start_server(folder, port)
        self.kills = 0
        self.finished = threading.Event()

    def run(self) -> None:
        for _ in range(self.rounds):
            if self.finished.wait(self.rng.uniform(0.3, 1.5)):
                return
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.kills += 1
            self.process = start_server(self.folder, self.port)

    def stop(self) -> None:
        self.finished.set()
        if self.is_alive():
            self.join()
        self.process.terminate()
        self.process.wait()
