"""Tiny models for the tests, in the folders of a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaForCausalLM, Qwen2ForCausalLM

from apprentice.models import Models
from apprentice.models.engine import close_all
from tests.models import tiny
from tests.served import served


@dataclass(frozen=True)
class Offered:
    """The folders of the workspace, and the same models in transformers."""

    models: Path
    adapters: Path
    llama: LlamaForCausalLM
    qwen: Qwen2ForCausalLM

    @property
    def served(self) -> Models:
        """Return the models as those of a workspace."""
        return served(self.models, self.adapters)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Offered:
    """Create the models and adapters once."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("offered")
    models, adapters = root / "models", root / "adapters"
    llama = tiny.llama(models / "llama")
    qwen = tiny.qwen(models / "qwen")
    everything = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    tiny.adapter(adapters / "first", llama, seed=1, targets=["q_proj", "v_proj"])
    tiny.adapter(adapters / "second", llama, seed=2, targets=everything)
    other = tiny.llama(models / "other", hidden_size=32)
    tiny.adapter(adapters / "misfit", other, seed=3, targets=["q_proj"])
    return Offered(models, adapters, llama, qwen)


@pytest.fixture
def offered(folders: Offered) -> Iterator[Offered]:
    """Offer the models, and stop the engines afterwards."""
    yield folders
    close_all()


def generated(model: Any, prompt: str, count: int) -> str:
    """Return the answer of transformers' greedy `generate` to a single user turn."""
    tokens = generated_tokens(model, prompt, count)
    return str(tiny.tokenizer().decode(tokens, skip_special_tokens=False))


def generated_tokens(model: Any, prompt: str, count: int) -> list[int]:
    """Return the same answer as tokens, without the end of the turn."""
    words = tiny.tokenizer()
    tokens: Any = words.apply_chat_template(
        [{"role": "user", "content": prompt}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    with torch.no_grad():
        output = model.generate(
            **tokens, max_new_tokens=count, do_sample=False, pad_token_id=words.pad_token_id
        )
    new: list[int] = output[0, tokens["input_ids"].shape[1] :].tolist()
    return new[: new.index(words.eos_token_id)] if words.eos_token_id in new else new
