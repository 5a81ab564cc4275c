"""Check that an adapter fits the current weights of a local model.

An adapter is a difference from one set of weights. On other weights it produces nonsense. The card
beside an adapter names its weights. An adapter without a card is not checked.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Final

from apprentice.state.errors import BadInput, BrokenData

CARD: Final = "card.json"
_WHOLE: Final = 64 << 20  # files up to this size are hashed completely
_SAMPLES: Final = 64
_BLOCK: Final = 1 << 20


def check_fit(folder: Path, model: str, weights: Path) -> None:
    """Raise BadInput if an adapter's card names another model or other weights; blocking.

    Args:
        folder: the adapter's folder.
        model: the plain name of the local model that uses the adapter.
        weights: the folder of that model.

    Raises:
        BadInput: the adapter does not fit.
        BrokenData: the card cannot be read.
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
            f"Adapter {folder.name!r} is for local:{base}, not for local:{model}. Name an adapter "
            f"of local:{model}, or none."
        )
    if made_for != base_fingerprint(weights):
        raise BadInput(
            f"Adapter {folder.name!r} was trained on other weights of local:{model} than the ones "
            f"in place. Train it anew: `apprentice adapters show {folder.name}` says how."
        )


def base_fingerprint(folder: Path) -> str:
    """Hash the files that an adapter depends on: weights, configuration and tokenizer.

    Of a file above 64 MiB, the size and 64 evenly spread blocks are hashed. This suffices, because
    training changes the weights everywhere.
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
