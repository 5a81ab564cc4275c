"""Several processes share one store file."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from apprentice.memory.store import open_store

WRITER = """
import asyncio, sys
from pathlib import Path
from apprentice.memory.store import open_store

async def write(name):
    async with open_store(Path(sys.argv[2])) as opened:
        for number in range(20):
            await opened.aput(("shared",), f"{name}-{number}", {"by": name})

asyncio.run(write(sys.argv[1]))
"""


async def test_concurrent_processes_lose_nothing(tmp_path: Path, root: Path) -> None:
    where = {**os.environ, "PYTHONPATH": str(root)}
    writers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, name, str(tmp_path), env=where
        )
        for name in "abc"
    ]
    assert [await writer.wait() for writer in writers] == [0, 0, 0]
    async with open_store(tmp_path) as opened:
        assert len(await opened.asearch(("shared",), limit=1_000)) == 60


async def test_a_store_can_be_opened_concurrently(tmp_path: Path) -> None:

    async def write(number: int) -> None:
        async with open_store(tmp_path) as opened:
            await opened.aput(("shared",), str(number), {})

    await asyncio.gather(*(write(number) for number in range(8)))
    async with open_store(tmp_path) as opened:
        assert len(await opened.asearch(("shared",), limit=100)) == 8


async def test_concurrent_connections_wait_for_each_other(tmp_path: Path) -> None:

    async def work(number: int) -> None:
        async with open_store(tmp_path) as opened:
            for count in range(40):
                await asyncio.gather(
                    opened.aget(("shared",), "0-0"),
                    opened.asearch(("shared",), limit=5),
                    opened.aput(("shared",), f"{number}-{count}", {}),
                )

    await asyncio.gather(*(work(number) for number in range(4)))
    async with open_store(tmp_path) as opened:
        assert len(await opened.asearch(("shared",), limit=1_000)) == 160
