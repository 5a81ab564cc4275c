"""The Store that outlives a run: one SQLite file, shared by the server and the command line.

The folder is APPRENTICE_DATA, by default ./apprentice-data.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
from langgraph.store.sqlite.aio import AsyncSqliteStore


def data_folder() -> Path:
    """Return the folder that holds what is learned."""
    return Path(os.environ.get("APPRENTICE_DATA") or "apprentice-data")


@asynccontextmanager
async def store() -> AsyncIterator[AsyncSqliteStore]:
    """Open the store; closing it writes what is pending."""
    path = data_folder() / "store.sqlite"
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    async with AsyncSqliteStore.from_conn_string(str(path)) as opened:
        # Several processes write to the file: readers do not wait for a writer, writers take
        # turns, and what was written outlives the process (not, for a moment, the machine).
        for pragma in ("busy_timeout = 30000", "journal_mode = WAL", "synchronous = NORMAL"):
            await opened.conn.execute(f"PRAGMA {pragma}")
        async with _one_at_a_time(path.with_name("setup.lock")):
            await opened.setup()
        yield opened


@asynccontextmanager
async def _one_at_a_time(lock: Path) -> AsyncIterator[None]:
    """Let one process or thread in: two that create the tables at once would both fail.

    The lock is SQLite's own, so it is let go when its holder dies.
    """
    async with aiosqlite.connect(lock, isolation_level=None, timeout=60) as gate:
        await gate.execute("BEGIN EXCLUSIVE")
        yield
