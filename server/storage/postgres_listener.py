"""The connection that listens for what other transactions announce, and reconnects when it breaks."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import psycopg

from server.storage.port import Row
from server.storage.postgres_transaction import CHANNEL
from server.storage.topics import Topics

WAKE_SECONDS = 0.25
"""How often the listener looks whether it should stop: the longest that closing waits for it."""

RECONNECT_SECONDS_MAX = 10.0
"""The longest pause between attempts to connect again; subscribers read the database meanwhile."""


class Listener(threading.Thread):
    """Feeds `topics` from LISTEN. After a lost connection every subscriber hears that it missed some."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Row]], topics: Topics) -> None:
        super().__init__(name="earlysign-listener", daemon=True)
        self._connect = connect
        self._topics = topics
        self._stop_asked = threading.Event()
        self._listening = threading.Event()

    def wait_until_listening(self, seconds: float) -> bool:
        return self._listening.wait(seconds)

    def stop(self) -> None:
        self._stop_asked.set()
        if self.is_alive():
            self.join()

    def run(self) -> None:
        has_listened = False
        failures = 0
        while not self._stop_asked.is_set():
            try:
                with self._connect() as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    if has_listened:
                        self._topics.publish_missed()
                    has_listened = True
                    failures = 0
                    self._listening.set()
                    self._listen(connection)
            except psycopg.Error:
                # Nothing to report to anybody: the pool meets the same failure and says so.
                self._listening.clear()
                failures += 1
                pause = min(RECONNECT_SECONDS_MAX, 0.1 * 2**failures)
                self._stop_asked.wait(random.uniform(0, pause))

    def _listen(self, connection: psycopg.Connection[Row]) -> None:
        while not self._stop_asked.is_set():
            for notice in connection.notifies(timeout=WAKE_SECONDS):
                topic, _, payload = notice.payload.partition("\n")
                self._topics.publish([(topic, payload)])
