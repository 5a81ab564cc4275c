"""The default Store: one SQLite file that the server and the command line share."""

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
    """A store whose file other processes write to at the same time.

    A batch is one transaction. If it reads before it writes, and another process writes in
    between, SQLite refuses it at once, whatever the timeout. The store then repeats the batch.
    """

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Run a batch of operations. Repeat it while another writer blocks it."""
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
    """Open the store in a data folder. On exit, pending writes are finished."""
    path = folder / "store.sqlite"
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    async with SharedStore.from_conn_string(str(path)) as store:
        # Several processes write to the file. With these settings, readers do not wait for a
        # writer, writers take turns, and a write survives a crash of the process (the last ones
        # may be lost if the machine crashes). The switch to WAL does not wait for other processes,
        # so the lock is taken first.
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
    """Admit one process or thread. Two that create the tables at the same time would both fail.

    The lock is SQLite's own, so it is released when its holder dies.
    """
    async with aiosqlite.connect(lock, isolation_level=None, timeout=60) as gate:
        await gate.execute("BEGIN EXCLUSIVE")
        yield
