"""Count the tokens of a text for a model, and find the length of the model's context."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from apprentice.models.names import LocalModels, plain
from apprentice.state.errors import missing_extra

BYTES_A_TOKEN: Final = 3
"""For hosted models. English has about four bytes per token, code and other languages fewer."""


def counter(name: str, models: LocalModels) -> Callable[[str], int]:
    """Return a function that counts the tokens of a text for a model.

    For a local model, its tokenizer counts. A hosted model's tokenizer would have to be downloaded,
    so its count is an estimate, and rather too high. A tokenizer is slow to load the first time:
    call this off the event loop.

    Raises:
        BadInput: the name is no model name.
        UnknownName: there is no such local model.
        MissingPart: the packages for local models are not installed.
    """
    provider, _, model = name.partition(":")
    if provider != "local":
        return estimate
    return _own(models.folder(plain("local model", model)))


def estimate(text: str) -> int:
    """Return an estimate of the tokens in a text, for a model without a tokenizer here."""
    return -(-len(text.encode()) // BYTES_A_TOKEN)


def context_length(name: str, models: LocalModels) -> int | None:
    """Return the length of a local model's context in tokens, or None if it is unknown.

    Raises:
        BadInput: the name is no model name.
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
        raise missing_extra("local", "A local model", error) from error
    words = Tokenizer.from_file(str(file))
    return lambda text: len(words.encode(text, add_special_tokens=False).ids)
