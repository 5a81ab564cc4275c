"""The Store that outlives a run: one SQLite file, shared by the server and the command line."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Final

import aiosqlite
from langgraph.store.base import Op, Result
from langgraph.store.sqlite.aio import AsyncSqliteStore

PATIENCE: Final = 30.0
"""Seconds that a batch waits for other writers."""
_PAUSE: Final = 0.01


class SharedStore(AsyncSqliteStore):
    """A store whose file others write to at the same time.

    A batch is one transaction, and one that reads before it writes cannot go on when somebody
    wrote in between: SQLite refuses at once, whatever the timeout. Then the batch is done again.
    """

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Do a batch of operations; again, while others are in the way."""
        batch = list(ops)
        deadline = monotonic() + PATIENCE
        while True:
            try:
                return await super().abatch(batch)
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or monotonic() > deadline:
                    raise
                await asyncio.sleep(_PAUSE)


@asynccontextmanager
async def open_store(folder: Path) -> AsyncIterator[AsyncSqliteStore]:
    """Open the store in a folder of data; closing it writes what is pending."""
    path = folder / "store.sqlite"
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    async with SharedStore.from_conn_string(str(path)) as store:
        # Several processes write to the file: readers do not wait for a writer, writers take
        # turns, and what was written outlives the process (not, for a moment, the machine).
        # Switching to WAL does not wait for others, so that too is done one at a time.
        async with _one_at_a_time(path.with_name("setup.lock")):
            for pragma in (
                f"busy_timeout = {1000 * PATIENCE:.0f}",
                "journal_mode = WAL",
                "synchronous = NORMAL",
            ):
                await store.conn.execute(f"PRAGMA {pragma}")
            await store.setup()
        yield store


@asynccontextmanager
async def _one_at_a_time(lock: Path) -> AsyncIterator[None]:
    """Let one process or thread in: two that create the tables at once would both fail.

    The lock is SQLite's own, so it is let go when its holder dies.
    """
    async with aiosqlite.connect(lock, isolation_level=None, timeout=60) as gate:
        await gate.execute("BEGIN EXCLUSIVE")
        yield
