"""How many tokens a text has for a model, and how many the model reads, so that all fits."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from apprentice.models.names import LocalModels, plain
from apprentice.state.errors import MissingExtra

BYTES_A_TOKEN: Final = 3
"""For hosted models: English has about four bytes a token, code and other languages fewer."""


def counter(name: str, models: LocalModels) -> Callable[[str], int]:
    """Return what counts a text's tokens as a model does.

    A local model's own tokenizer counts. That of a hosted model is somebody else's, and would have
    to be downloaded: there the count is an estimate, and rather too high. Reading a tokenizer takes
    a moment the first time: call this off the event loop.

    Raises:
        BadInput: the name cannot be a model's.
        UnknownName: there is no such local model.
        MissingExtra: what local models need is not installed.
    """
    provider, _, model = name.partition(":")
    if provider != "local":
        return estimate
    return _own(models.folder(plain("local model", model)))


def estimate(text: str) -> int:
    """Return about how many tokens a text has for a model whose tokenizer is not at hand."""
    return -(-len(text.encode()) // BYTES_A_TOKEN)


def context_length(name: str, models: LocalModels) -> int | None:
    """Return how many tokens a local model reads and writes at once; None where nobody says.

    Raises:
        BadInput: the name cannot be a model's.
        UnknownName: there is no such local model.
    """
    provider, _, model = name.partition(":")
    if provider != "local":
        return None
    file = models.folder(plain("local model", model)) / "config.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    length = settings.get("max_position_embeddings")
    return int(length) if length else None


@cache
def _own(folder: Path) -> Callable[[str], int]:
    file = folder / "tokenizer.json"
    if not file.is_file():
        return estimate
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtra("local", "A local model", error) from error
    words = Tokenizer.from_file(str(file))
    return lambda text: len(words.encode(text, add_special_tokens=False).ids)
