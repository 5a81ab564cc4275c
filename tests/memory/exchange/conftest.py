"""Each test gets its own memory: that of its own tenant, on one shared engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from apprentice.memory.experience.edge import EdgeEngine
from apprentice.memory.experience.qdrant import QdrantExperience
from tests.memory.experience.attempts import Words

Opener = Callable[[str], QdrantExperience]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeEngine]:
    folder = tmp_path_factory.mktemp("memory") / "experience"
    opened = EdgeEngine.open(folder, "words", lambda: Words.dimension)
    yield opened
    asyncio.run(opened.close())


@pytest.fixture
def opened(engine: EdgeEngine, request: pytest.FixtureRequest) -> Opener:
    """Return a function that opens the memory of one of this test's tenants."""
    return lambda name: QdrantExperience(engine, Words(), f"{request.node.name} {name}")


@pytest.fixture
def memory(opened: Opener) -> QdrantExperience:
    return opened("team")
