"""People who are told, and a channel that keeps what it is given, or fails."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from server.access import people
from server.access.identity import Person, person_from_row
from server.alerts.channels import ChannelTrouble, Message
from server.alerts.presets import load_presets
from server.audit import Actor
from server.jobs import delivery
from server.records import telling
from server.records.telling import Choices
from sync.vocabulary import Grade
from tests.road import LAMBETH, POLICY, Road

PRESETS = load_presets()


class Way:
    """A channel. `hears_all`: one to another system, which hears of every step; otherwise one to people."""

    def __init__(self, name: str, trouble: ChannelTrouble | None = None, *, hears_all: bool = False) -> None:
        self.name = name
        self.trouble = trouble
        self.hears_all = hears_all
        self.sent: list[Message] = []
        self.closed = False

    def hears(self, boroughs: Collection[str], grades: Collection[Grade]) -> bool:
        return self.hears_all

    async def send(self, message: Message, *, now: int) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.sent.append(message)

    async def close(self) -> None:
        self.closed = True


def person(road: Road, username: str, role: str = "investigator", borough: str | None = LAMBETH) -> Person:
    def add(tx: Any) -> Person:
        people.add(
            tx, username=username, name=f"Test {username}", role=role, borough=borough, password_hash="!",
            must_change=False, actor=Actor("system", "tests"), now=road.now,
        )  # fmt: skip
        row = people.find(tx, username)
        assert row is not None
        return person_from_row(POLICY, row)

    return road.store.write_now(add)


def choose(road: Road, who: Person, **chosen: Any) -> None:
    kept = Choices(**{"address": f"{who.username}@force.example"} | chosen)
    road.store.write_now(lambda tx: telling.choose(tx, who, kept, now=road.now))


def deliver(road: Road, *ways: Way) -> int:
    return asyncio.run(delivery.run(road.store, ways, lambda: road.now, POLICY, PRESETS, lambda: 1.0))


def told(way: Way) -> list[tuple[str, str, str]]:
    return sorted((message.to.partition("@")[0], message.grade, message.kind) for message in way.sent)
