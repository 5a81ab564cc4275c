"""A memory on each engine: in process, and the client's local mode in a server's place.

Where QDRANT_URL is set, the same tests run on that server too, in a collection of their own.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import pytest
from qdrant_client import AsyncQdrantClient

from memory.experience.edge import EdgeEngine
from memory.experience.engine import Engine
from memory.experience.qdrant import QdrantExperience
from memory.experience.server import ServerEngine
from tests.memory.experience.attempts import Words

SERVER = os.environ.get("QDRANT_URL", "")

Opener = Callable[..., QdrantExperience]


@pytest.fixture(params=["edge", "local", *(["server"] if SERVER else [])])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    made: Engine
    if request.param == "edge":
        made = EdgeEngine.opened(tmp_path / "experience", "words", lambda: Words.dimension)
        yield made
        await made.close()
        return
    where = {"location": ":memory:"} if request.param == "local" else {"url": SERVER}
    client = AsyncQdrantClient(**where, api_key=os.environ.get("QDRANT_API_KEY"))
    name = f"test-{uuid4()}"
    made = await ServerEngine.opened(client, "words", _dimension, name)
    yield made
    await client.delete_collection(name)
    await made.close()


@pytest.fixture
def memory(engine: Engine) -> Opener:
    """Open a tenant's memory on the engine."""

    def of(tenant: str = "team", **settings: object) -> QdrantExperience:
        return QdrantExperience(engine, Words(), tenant, **settings)

    return of


async def _dimension() -> int:
    return Words.dimension
