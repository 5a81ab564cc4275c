"""The training recipe of the novice: curriculum, tokenizer, network, and measurements.

The curriculum (STAGES) goes from small rooms and few exercises to large rooms and all exercises.
Tokens that the agent does not write have a tenth of the weight in the loss.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from apprentice.state import prompts
from apprentice.training.novice.corpus import KINDS, Corpus
from apprentice.training.novice.tokenizer import train as train_tokenizer
from apprentice.training.scratch import chat
from apprentice.training.scratch.loop import ScratchSettings, build, predict_turns
from apprentice.training.scratch.samples import Sample

CHUNK: Final = 256
DRILLS: Final = ("matching", "lookups", "reciting", "criticising")
MATCHERS: Final = (2, 5)
_PROBE_KINDS: Final = ("told", "reflected", "ruled", "exampled", "reflecting", "critic")
PROBE_MIX: Final = dict.fromkeys(_PROBE_KINDS, 1.0) | dict.fromkeys(DRILLS, 0.4)
PROBES: Final = 60


@dataclass(frozen=True)
class Stage:
    """One stage of the curriculum.

    Attributes:
        until: the stage lasts until this share of all tokens has been seen.
        sizes: room size -> weight.
        mix: kind of exercise -> weight.
        rename: share of samples with exchanged names.
    """

    until: float
    sizes: dict[str, float]
    mix: dict[str, float]
    rename: float


STAGES: Final = (
    Stage(
        0.06,
        {"tiny": 0.75, "small": 0.25},
        {"matching": 6, "plain": 3, "told": 3, "reflected": 1, "reflecting": 1, "lookups": 2},
        0.5,
    ),
    Stage(
        0.2,
        {"tiny": 0.25, "small": 0.5, "medium": 0.25},
        {"matching": 2, "lookups": 2, "reciting": 10, "criticising": 3,
         "plain": 2, "told": 2, "reflected": 3,
         "ruled": 2.5, "reflecting": 2, "exampled": 1, "others": 0.3, "last_attempt": 0.3,
         "critic": 0.7, "calling": 0.5, "planned": 0.3, "adapting": 0.3, "warned": 0.2},
        0.3,
    ),
    Stage(
        1.0,
        {"tiny": 0.1, "small": 0.2, "medium": 0.3, "full": 0.4},
        {"matching": 2, "lookups": 3, "reciting": 4, "criticising": 4,
         "plain": 3, "told": 1, "reflected": 5,
         "ruled": 4, "reflecting": 14, "exampled": 7, "others": 0.6, "similar": 0.8,
         "last_attempt": 0.4, "critic": 4, "calling": 0.5, "planned": 0.6, "adapting": 0.6,
         "warned": 0.4},
        0.2,
    ),
)  # fmt: skip


class Novice:
    """The recipe of the model that plays the household."""

    settings = ScratchSettings()
    other_weight = 0.1

    def tokenizer(self, out: Path, seed: int) -> PreTrainedTokenizerFast:
        """Return the tokenizer of a run's folder; train and save it first if there is none."""
        folder = out / "tokenizer"
        if not folder.exists():
            corpus = Corpus(seed, {"tiny": 1, "small": 1}, dict.fromkeys(KINDS, 1.0))
            texts = [part.text for sample in islice(iter(corpus), 3000) for part in sample.parts]
            train_tokenizer(texts).save_pretrained(folder)
        return chat.load(folder)

    def network(
        self, settings: ScratchSettings, tokenizer: PreTrainedTokenizerFast
    ) -> LlamaForCausalLM:
        """Return the untrained model."""
        return build(settings, len(tokenizer), MATCHERS)

    def samples(
        self, tokenizer: PreTrainedTokenizerFast, seed: int, share: float
    ) -> Iterable[Sample]:
        """Return a chunk of samples for the stage that is current at `share` of all tokens."""
        stage = next(stage for stage in STAGES if share < stage.until)
        return islice(iter(Corpus(seed, stage.sizes, stage.mix, stage.rename)), CHUNK)

    def prompts(self) -> dict[str, str]:
        """Return the fingerprint of every prompt that the samples hold, by name."""
        return prompts.fingerprints()

    def measure(
        self, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, device: str
    ) -> dict[str, float]:
        """Return the share of turns that the model predicts exactly, by kind of turn."""
        right: dict[str, list[bool]] = {}
        corpus = Corpus(777_777, {"small": 1, "medium": 1}, PROBE_MIX, rename=0.0)
        samples = islice(iter(corpus), PROBES)
        for sample, number, whole in predict_turns(model, tokenizer, samples, device):
            key = _turn_kind(sample.kind, sample.parts[number].text)
            right.setdefault(key, []).append(whole)
        return {key: round(sum(hits) / len(hits), 3) for key, hits in sorted(right.items())}


def _turn_kind(kind: str, text: str) -> str:
    if kind in ("reflecting", "critic"):
        return f"write_{kind}"
    if kind in DRILLS:
        return f"drill_{kind}"
    if "Plan:" in text:
        return f"plan_{kind}"
    for word in ("take", "put", "go", "open"):
        if text.splitlines()[-1].startswith(word):
            return word
    return "other"
