"""What holds for every test: no tracing, no downloads, strict checkpoints.

Sockets beyond this machine are blocked by pytest-socket, and warnings are errors; see
`[tool.pytest.ini_options]` in pyproject.toml.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# A property holds or doesn't, however busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Read by LangGraph and Hugging Face when they are first imported, so set before any test is.
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
os.environ["HF_HUB_OFFLINE"] = "1"
for name in list(os.environ):
    if name.startswith(("APPRENTICE_", "LANGSMITH_", "OPENAI_")):
        del os.environ[name]

from apprentice.environments.registry import Environments  # noqa: E402
from apprentice.settings import Settings  # noqa: E402
from apprentice.workspace import Workspace  # noqa: E402
from tests.memories import shared  # noqa: E402
from tests.memory.experience.attempts import Words  # noqa: E402


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's own folder."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def closed_at_the_end() -> Iterator[None]:
    """Close the workspace that tests share, if one of them used it."""
    yield
    if shared.cache_info().currsize:
        asyncio.run(shared().close())
        shutil.rmtree(shared().data)


Offer = Callable[..., Path]


@pytest.fixture
def offer(tmp_path: Path) -> Offer:
    """Return a function that offers lines as a file of the workspace's tasks."""
    folder = tmp_path / "tasks"

    def write(name: str, *lines: Any) -> Path:
        file = folder / f"{name}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        file.write_text("".join(f"{text}\n" for text in texts))
        return file

    return write


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    """Return the environments, with the tasks that are offered."""
    return Environments(tmp_path / "tasks")


@pytest.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    """Return a workspace in a folder of its own, with the tasks that are offered and no model."""
    settings = Settings(tasks=tmp_path / "tasks", qdrant_url="")
    async with Workspace(tmp_path / "data", settings=settings, embeddings=Words()) as opened:
        yield opened
