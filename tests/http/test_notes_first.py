"""Uploads hold still while a push is under way, and not for ever."""

from __future__ import annotations

import asyncio

import pytest

from server.http import notes_first
from server.http.notes_first import NotesFirst


def test_an_upload_waits_for_pushes_and_goes_on_at_the_end_of_the_last() -> None:
    async def run() -> list[str]:
        order: list[str] = []
        notes = NotesFirst()
        await notes.give_way()
        order.append("nobody pushes")

        async def upload() -> None:
            await notes.give_way()
            order.append("upload")

        with notes.pushing():
            with notes.pushing():
                waiting = asyncio.create_task(upload())
                await asyncio.sleep(0)
            order.append("one of two")
        order.append("both")
        await waiting
        return order

    assert asyncio.run(run()) == ["nobody pushes", "one of two", "both", "upload"]


def test_pushes_that_never_cease_do_not_stop_an_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes_first, "HOLD_SECONDS_MAX", 0.001)

    async def run() -> None:
        notes = NotesFirst()
        with notes.pushing():
            await asyncio.wait_for(notes.give_way(), 20)

    asyncio.run(run())
