"""The training recipe of the clerk: vocabulary, network, and measurements.

The vectors of the words are fixed; training changes only the layers above them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Final

import torch
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from apprentice.state.prompts import TOOLS
from apprentice.state.trajectory import digest
from apprentice.training.clerk import vocabulary
from apprentice.training.clerk.corpus import Corpus, content_words
from apprentice.training.scratch import chat
from apprentice.training.scratch.loop import ScratchSettings, build, predict_turns
from apprentice.training.scratch.samples import Sample

CHUNK: Final = 256
MATCHERS: Final = (1, 4)
FIRST: Final = 0.1  # share of all tokens in the first phase, which is mostly copying
COPY_SHARES: Final = (0.9, 0.08)  # share of drills in copying, in the first phase and after it
PROBES: Final = 60


class Clerk:
    """The recipe of the model that reads forms.

    Args:
        frequent: the number of frequent English words that become tokens.
    """

    settings = ScratchSettings(
        tokens=60_000_000, batch=8_192, hidden=vocabulary.WIDTH, muon_rate=3e-3, cooldown=0.5
    )
    other_weight = 0.0

    def __init__(self, frequent: int = vocabulary.FREQUENT) -> None:
        self._frequent = frequent
        self._vectors: Tensor | None = None
        self._similar: dict[str, list[str]] = {}

    def tokenizer(self, out: Path, seed: int) -> PreTrainedTokenizerFast:
        """Return the tokenizer of a run's folder; make and save it first if there is none."""
        folder = out / "tokenizer"
        if not folder.exists():
            vocabulary.tokenizer(self._frequent).save_pretrained(folder)
        return chat.load(folder)

    def network(
        self, settings: ScratchSettings, tokenizer: PreTrainedTokenizerFast
    ) -> LlamaForCausalLM:
        """Return the untrained model; the vectors of its words stay fixed."""
        model = build(settings, len(tokenizer), MATCHERS)
        table = model.model.embed_tokens.weight
        with torch.no_grad():
            table.copy_(self._word_vectors(tokenizer))
        table.requires_grad_(False)
        return model

    def samples(
        self, tokenizer: PreTrainedTokenizerFast, seed: int, share: float
    ) -> Iterable[Sample]:
        """Return a chunk of samples."""
        return islice(self._corpus(tokenizer, seed, COPY_SHARES[share >= FIRST]), CHUNK)

    def prompts(self) -> dict[str, str]:
        """Return the fingerprint of every prompt that the samples hold, by name."""
        return {"tools": digest(TOOLS)}

    def measure(
        self, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, device: str
    ) -> dict[str, float]:
        """Return the share of answers that the model predicts exactly, by kind of question."""
        right: dict[str, list[bool]] = {}
        samples = islice(self._corpus(tokenizer, 777_777, 1 / 3), PROBES)
        for sample, number, whole in predict_turns(model, tokenizer, samples, device):
            right.setdefault(_kind(sample, number), []).append(whole)
        return {kind: round(sum(hits) / len(hits), 3) for kind, hits in sorted(right.items())}

    def _corpus(self, tokenizer: PreTrainedTokenizerFast, seed: int, copy_share: float) -> Corpus:
        words = vocabulary.whole_words(tokenizer)
        if not self._similar:
            content = content_words(words)
            places = tokenizer.convert_tokens_to_ids(content)
            table = self._word_vectors(tokenizer)
            self._similar = vocabulary.similar_words(content, table[places])
        return Corpus(seed, words, self._similar, copy_share)

    def _word_vectors(self, tokenizer: PreTrainedTokenizerFast) -> Tensor:
        if self._vectors is None:
            self._vectors = vocabulary.vectors(tokenizer)
        return self._vectors


def _kind(sample: Sample, number: int) -> str:
    if sample.kind != "reading":
        return sample.kind
    prefix = re.match(r"(\w+)\? ", sample.parts[number - 1].text)
    if not prefix:
        return "sentence"
    return "tool" if prefix[1] == "Which" else "form" if "_" in prefix[1] else "parameter"
