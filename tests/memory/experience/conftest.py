"""A memory on each engine: in process, and the client's local mode instead of a server.

Where QDRANT_URL is set, the same tests run on that server too, in a collection of their own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from uuid import uuid4

import pytest
from qdrant_client import AsyncQdrantClient

from apprentice.memory.experience.edge import EdgeEngine
from apprentice.memory.experience.engine import SearchEngine, Where
from apprentice.memory.experience.qdrant import CAPACITY, QdrantExperience
from apprentice.memory.experience.server import ServerEngine
from tests.memory.experience.attempts import Words

SERVER = os.environ.get("QDRANT_URL", "")

Opener = Callable[..., QdrantExperience]


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchEngine]:
    # Opened once, because the indexes of an empty memory take the longest to create.
    folder = tmp_path_factory.mktemp("edge") / "experience"
    engine = EdgeEngine.open(folder, "words", lambda: Words.dimension)
    yield engine
    asyncio.run(engine.close())


@pytest.fixture(params=["edge", "local", *(["server"] if SERVER else [])])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[SearchEngine]:
    if request.param == "edge":
        edge: SearchEngine = request.getfixturevalue("edge")
        yield edge
        await edge.delete(Where({}))
        return
    key = os.environ.get("QDRANT_API_KEY")
    local = request.param == "local"
    client = AsyncQdrantClient(":memory:") if local else AsyncQdrantClient(url=SERVER, api_key=key)
    name = f"test-{uuid4()}"
    made = await ServerEngine.open(client, "words", _dimension, name)
    yield made
    await client.delete_collection(name)
    await made.close()


@pytest.fixture
def memory(engine: SearchEngine) -> Opener:
    """Return a function that opens a tenant's memory on the engine."""

    def of(tenant: str = "team", capacity: int = CAPACITY) -> QdrantExperience:
        return QdrantExperience(engine, Words(), tenant, capacity=capacity)

    return of


async def _dimension() -> int:
    return Words.dimension
