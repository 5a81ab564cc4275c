"""Whether an adapter fits the weights that a local model has now.

An adapter is a difference from one set of weights; on another it answers, and answers nonsense.
What it was made for stands in the card beside it; an adapter without a card is its owner's matter.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Final

from apprentice.state.errors import BadInput, BrokenData

CARD: Final = "card.json"
_WHOLE: Final = 64 << 20  # files up to this size are hashed whole
_SAMPLES: Final = 64
_BLOCK: Final = 1 << 20


def check_fit(folder: Path, model: str, weights: Path) -> None:
    """Refuse an adapter whose card names another model, or other weights than are in place; blocks.

    Args:
        folder: the adapter's.
        model: plain name of the local model that is to act with it.
        weights: the folder of that model.

    Raises:
        BadInput: it does not fit.
        BrokenData: its card cannot be read.
    """
    card = folder / CARD
    if not card.is_file():
        return
    try:
        fields = json.loads(card.read_text())
        base, made_for = str(fields["base"]), str(fields["base_fingerprint"])
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenData(
            f"The card of adapter {folder.name!r} cannot be read ({error}). Repair {card}, or "
            "delete its folder."
        ) from error
    if base != model:
        raise BadInput(
            f"Adapter {folder.name!r} is for local:{base}, not for local:{model}. Name one of its "
            "own, or none."
        )
    if made_for != base_fingerprint(weights):
        raise BadInput(
            f"Adapter {folder.name!r} was trained on other weights of local:{model} than the ones "
            f"in place. Train it anew: apprentice adapters show {folder.name} says how."
        )


def base_fingerprint(folder: Path) -> str:
    """Hash what an adapter depends on: a model's weights, configuration and tokenizer.

    Of files beyond 64 MiB, 64 blocks are hashed, evenly spread, and the size: a changed model
    differs everywhere.
    """
    files = sorted(
        file
        for pattern in ("*.safetensors", "*.bin", "config.json", "tokenizer*", "*.jinja")
        for file in folder.glob(pattern)
    )
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        facts = file.stat()
        part = _hash(file, facts.st_size, facts.st_mtime_ns)
        digest.update(f"{file.name}:{facts.st_size}:{part}\n".encode())
    return digest.hexdigest()


@cache
def _hash(file: Path, size: int, _mtime_ns: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    whole = size <= _WHOLE
    starts = range(0, size, _BLOCK) if whole else range(0, size - _BLOCK, (size // _SAMPLES))
    with file.open("rb") as stream:
        for start in starts:
            stream.seek(start)
            digest.update(stream.read(_BLOCK))
    return digest.hexdigest()
