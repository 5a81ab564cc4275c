"""The stores for the tests of reflections, rules and releases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from apprentice.memory.store import open_store


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BaseStore]:
    """Yield both kinds of store: in memory, and the default one in a file."""
    if request.param == "memory":
        yield InMemoryStore()
        return
    async with open_store(tmp_path / "data") as opened:
        yield opened
