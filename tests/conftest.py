"""What holds for every test: no tracing, no downloads, strict checkpoints.

Sockets beyond this machine are blocked by pytest-socket, and warnings are errors; see
`[tool.pytest.ini_options]` in pyproject.toml.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
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
for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "LANGSMITH_API_KEY", "LANGSMITH_TRACING"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's own folder."""
    return Path(__file__).resolve().parent.parent


Offer = Callable[..., Path]


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Offer]:
    """Return a function that offers lines as a file of tasks, as a server's settings do."""
    from apprentice.environments.registry import environment  # after the settings above

    folder = tmp_path / "tasks"
    monkeypatch.setenv("APPRENTICE_TASKS", str(folder))
    environment.cache_clear()

    def write(name: str, *lines: Any) -> Path:
        file = folder / f"{name}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        file.write_text("".join(f"{text}\n" for text in texts))
        return file

    yield write
    environment.cache_clear()
