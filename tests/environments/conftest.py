"""Files of tasks, as a server's settings offer them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from environments.registry import environment

Offer = Callable[..., Path]


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Offer]:
    """Return a function that offers lines as a file of tasks."""
    monkeypatch.setenv("APPRENTICE_TASKS", str(tmp_path))
    environment.cache_clear()

    def write(name: str, *lines: Any) -> Path:
        file = tmp_path / f"{name}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        file.write_text("".join(f"{text}\n" for text in texts))
        return file

    yield write
    environment.cache_clear()
