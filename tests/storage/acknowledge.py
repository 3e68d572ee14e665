"""Writes from several tasks and says what was acknowledged, until it is killed. Run by a test."""

from __future__ import annotations

import asyncio
import os
import sys

from server.storage import open_store
from tests.storage.engines import SCHEMA, add


async def main(address: str) -> None:
    store = open_store(address, migrations=SCHEMA)

    async def client(me: int) -> None:
        i = 0
        while True:
            name = f"{me}/{i}"
            await store.write(add(name))
            os.write(1, f"{name}\n".encode())  # one call, so that a line is there whole or not at all
            i += 1

    await asyncio.gather(*(client(me) for me in range(8)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
