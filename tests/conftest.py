"""What holds for every test: no tracing, no downloads, strict checkpoints.

Sockets beyond this machine are blocked by pytest-socket, and warnings are errors; see
`[tool.pytest.ini_options]` in pyproject.toml.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Read by LangGraph and Hugging Face when they are first imported, so set before any test is.
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
os.environ["HF_HUB_OFFLINE"] = "1"
for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "LANGSMITH_API_KEY", "LANGSMITH_TRACING"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's own folder."""
    return Path(__file__).resolve().parent.parent
