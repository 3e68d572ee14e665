"""Subscribers inside this process: bounded backlogs, and an honest word when one overflows."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from server.storage.port import MISSED, StorageClosed


class Subscription(AsyncIterator[str]):
    """One subscriber's payloads, in commit order. Lives in the event loop that asked for it."""

    def __init__(self, topic: str, loop: asyncio.AbstractEventLoop, backlog_max: int) -> None:
        self.topic = topic
        self.loop = loop
        self._backlog: deque[str] = deque()
        self._backlog_max = backlog_max
        self._wake = asyncio.Event()
        self._ended = False

    def push(self, payload: str) -> None:
        """Add a payload. Called in the subscriber's loop.

        A reader that must look in the database anyway gains nothing from the payloads before, so an
        overflow clears them and leaves the one word that some were missed.
        """
        if self._ended or (payload == MISSED and self._backlog and self._backlog[-1] == MISSED):
            return
        if len(self._backlog) >= self._backlog_max:
            self._backlog.clear()
            payload = MISSED
        self._backlog.append(payload)
        self._wake.set()

    def end(self) -> None:
        """Let the reader finish what is waiting and then stop. Called in the subscriber's loop."""
        self._ended = True
        self._wake.set()

    async def __anext__(self) -> str:
        while not self._backlog:
            if self._ended:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._backlog.popleft()


class Topics:
    """Who listens to what. Any thread may publish."""

    def __init__(self, backlog_max: int) -> None:
        self._backlog_max = backlog_max
        self._lock = threading.Lock()
        self._by_topic: dict[str, list[Subscription]] = {}
        self._closed = False

    @asynccontextmanager
    async def subscribed(self, topic: str) -> AsyncIterator[AsyncIterator[str]]:
        subscription = Subscription(topic, asyncio.get_running_loop(), self._backlog_max)
        with self._lock:
            if self._closed:
                raise StorageClosed("The store has been closed; nothing more will be announced.")
            self._by_topic.setdefault(topic, []).append(subscription)
        try:
            yield subscription
        finally:
            with self._lock:
                remaining = self._by_topic.get(topic, [])
                if subscription in remaining:
                    remaining.remove(subscription)
                if not remaining:
                    self._by_topic.pop(topic, None)

    def publish(self, notices: Iterable[tuple[str, str]]) -> None:
        """Hand committed notices to their subscribers, in order."""
        with self._lock:
            for topic, payload in dict.fromkeys(notices):  # said twice in one commit is said once
                for subscription in self._by_topic.get(topic, ()):
                    _call_in(subscription, subscription.push, payload)

    def publish_missed(self) -> None:
        """Tell every subscriber that something may have passed it by."""
        with self._lock:
            for subscriptions in self._by_topic.values():
                for subscription in subscriptions:
                    _call_in(subscription, subscription.push, MISSED)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for subscriptions in self._by_topic.values():
                for subscription in subscriptions:
                    _call_in(subscription, subscription.end)


def _call_in(subscription: Subscription, call: Callable[..., None], *arguments: str) -> None:
    try:
        subscription.loop.call_soon_threadsafe(call, *arguments)
    except RuntimeError:
        # The subscriber's loop has been closed, so nobody is left to tell.
        return
