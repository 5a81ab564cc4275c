"""What the clerk is made of: a network on words that are fixed, and what is watched meanwhile."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Final

import torch
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from apprentice.state.nouns import digest
from apprentice.state.prompts import TOOLS
from apprentice.training.clerk import vocabulary
from apprentice.training.clerk.corpus import Corpus, content_words
from apprentice.training.scratch import chat
from apprentice.training.scratch.loop import ScratchSettings, build, predicted
from apprentice.training.scratch.samples import Sample

CHUNK: Final = 256
MATCHERS: Final = (1, 4)
FIRST: Final = 0.1  # of all tokens, which are nearly all of copying
COPYING: Final = (0.9, 0.08)  # the share of drills in copying, at first and then
PROBED: Final = 60


class Clerk:
    """The model that reads forms."""

    settings = ScratchSettings(
        tokens=60_000_000, batch=8_192, hidden=vocabulary.WIDTH, muon_rate=3e-3, cooldown=0.5
    )
    other_weight = 0.0

    def __init__(self) -> None:
        self._vectors: Tensor | None = None
        self._akin: dict[str, list[str]] = {}

    def tokenizer(self, out: Path, seed: int) -> PreTrainedTokenizerFast:
        """Return the tokenizer of a run's folder, made there if need be."""
        folder = out / "tokenizer"
        if not folder.exists():
            vocabulary.tokenizer().save_pretrained(folder)
        return chat.load(folder)

    def network(
        self, settings: ScratchSettings, tokenizer: PreTrainedTokenizerFast
    ) -> LlamaForCausalLM:
        """Return the fresh model; its words' vectors are not learned."""
        model = build(settings, len(tokenizer), MATCHERS)
        known = model.model.embed_tokens.weight
        with torch.no_grad():
            known.copy_(self._known(tokenizer))
        known.requires_grad_(False)
        return model

    def samples(
        self, tokenizer: PreTrainedTokenizerFast, seed: int, share: float
    ) -> Iterable[Sample]:
        """Return a chunk of samples."""
        return islice(self._corpus(tokenizer, seed, COPYING[share >= FIRST]), CHUNK)

    def prompts(self) -> dict[str, str]:
        """Return the fingerprint of every prompt that the samples hold, by name."""
        return {"tools": digest(TOOLS)}

    def measured(
        self, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, device: str
    ) -> dict[str, float]:
        """Return the share of answers that are predicted whole, by kind of question."""
        right: dict[str, list[bool]] = {}
        samples = islice(self._corpus(tokenizer, 777_777, 1 / 3), PROBED)
        for sample, number, whole in predicted(model, tokenizer, samples, device):
            right.setdefault(_kind(sample, number), []).append(whole)
        return {kind: round(sum(hits) / len(hits), 3) for kind, hits in sorted(right.items())}

    def _corpus(self, tokenizer: PreTrainedTokenizerFast, seed: int, copying: float) -> Corpus:
        words = vocabulary.whole_words(tokenizer)
        if not self._akin:
            said = content_words(words)
            places = tokenizer.convert_tokens_to_ids(said)
            table = self._known(tokenizer)
            self._akin = vocabulary.akin(said, table[places])
        return Corpus(seed, words, self._akin, copying)

    def _known(self, tokenizer: PreTrainedTokenizerFast) -> Tensor:
        if self._vectors is None:
            self._vectors = vocabulary.vectors(tokenizer)
        return self._vectors


def _kind(sample: Sample, number: int) -> str:
    if sample.kind != "reading":
        return sample.kind
    asked = re.match(r"(\w+)\? ", sample.parts[number - 1].text)
    if not asked:
        return "sentence"
    return "tool" if asked[1] == "Which" else "form" if "_" in asked[1] else "parameter"
