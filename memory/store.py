"""The Store that outlives a run: one SQLite file, shared by the server and the command line.

The folder is APPRENTICE_DATA, by default ./apprentice-data.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

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
        await opened.setup()
        yield opened
