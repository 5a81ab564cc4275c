"""The files that a command leaves: JSON, text, and the cache of a model's answers."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain_core.globals import get_llm_cache, set_llm_cache

from apprentice.state.errors import BadInput


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all.

    Raises:
        BadInput: if it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        why = error.strerror
        raise BadInput(f"{path} cannot be written ({why}). Name another file.") from error


@contextmanager
def use_answer_cache(folder: Path | None) -> Iterator[None]:
    """Within the block, cache the models' answers in a folder's SQLite file.

    Args:
        folder: has the file `answers.sqlite`; None for no cache.
    """
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    before = get_llm_cache()
    with warnings.catch_warnings():
        # langchain-community warns that it is no longer developed, and of its own calls.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        # SQLAlchemy is slow to import, and most runs have no cache.
        from apprentice.cli.answer_cache import Answers

        set_llm_cache(Answers(str(folder / "answers.sqlite")))
        try:
            yield
        finally:
            set_llm_cache(before)
