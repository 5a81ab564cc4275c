"""Stores that what is kept beside trajectories is tested on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from apprentice.memory.store import store as open_store


@pytest.fixture(params=["memory", "sqlite"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[BaseStore]:
    """Yield a store of each kind: in memory, and the default one, in a file."""
    if request.param == "memory":
        yield InMemoryStore()
        return
    monkeypatch.setenv("APPRENTICE_DATA", str(tmp_path / "data"))
    async with open_store() as opened:
        yield opened
