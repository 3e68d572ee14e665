"""One request at a time for each upload: whoever is at it is asked to end, by as many as want the turn."""

from __future__ import annotations

import asyncio

import pytest

from server.http.turns import Turn


@pytest.mark.parametrize("asked", [1, 2, 3])
def test_whoever_reads_ends_at_once_however_many_ask_at_that_moment(asked: int) -> None:
    async def work() -> None:
        turn = Turn()

        async def read() -> None:
            async with turn.reading(3_600):
                await asyncio.Event().wait()

        reader = asyncio.create_task(read())
        await asyncio.sleep(0)
        for _ in range(asked):
            turn.ask()
            await asyncio.sleep(0)  # the loop ends the wait, and the reader has not heard of it yet
        with pytest.raises(TimeoutError):
            await reader

    asyncio.run(asyncio.wait_for(work(), 30))
