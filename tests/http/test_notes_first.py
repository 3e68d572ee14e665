"""Uploads hold still while a push is here and a moment longer, and not for ever."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest import mock

import pytest

from server.http import auth, notes_first
from server.http.notes_first import NotesFirst
from tests.http.kit import Client, Phone, services_of
from tests.http.test_sync import Sender


def test_an_upload_waits_for_pushes_and_goes_on_at_the_end_of_the_last() -> None:
    async def run() -> list[str]:
        order: list[str] = []
        notes = NotesFirst()
        await notes.give_way()
        order.append("nobody pushes")

        async def upload() -> None:
            await notes.give_way()
            order.append("upload")

        with notes.hushed():
            with notes.hushed():
                waiting = asyncio.create_task(upload())
                await asyncio.sleep(0)
            order.append("one of two")
        await asyncio.sleep(0)
        order.append("both")
        with notes.hushed():  # the phone had more, and sent it at once
            await asyncio.sleep(0)
            order.append("one more")
        await waiting
        return order

    assert asyncio.run(run()) == ["nobody pushes", "one of two", "both", "one more", "upload"]


def test_pushes_that_never_cease_do_not_stop_an_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes_first, "HOLD_SECONDS_MAX", 0.001)

    async def run() -> None:
        notes = NotesFirst()
        with notes.hushed():
            await asyncio.wait_for(notes.give_way(), 20)

    asyncio.run(run())


def test_uploads_hold_still_while_it_is_looked_up_who_pushes(client: Client, phone: Phone) -> None:
    notes, held = services_of(client).notes_first, []
    look = auth.find_device

    async def looking(*asked: Any) -> Any:
        giving_way = asyncio.create_task(notes.give_way())
        await asyncio.sleep(0)
        held.append(not giving_way.done())
        giving_way.cancel()
        return await look(*asked)

    sender = Sender(client, phone)
    with mock.patch.object(auth, "find_device", looking):
        sender.push(sender.line())
        sender.pull()
    assert held == [True]
