"""The fast forward pass computes the same as transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from apprentice.models.llama import Llama, is_plain
from tests.models import tiny

PROMPT = [5, 80, 17, 33, 200, 41, 5, 5, 90, 101, 7, 64]
OTHER = [9, 9, 120, 3, 77]
SHAPES: dict[str, dict[str, Any]] = {
    "shared keys": {},
    "own keys": {"num_key_value_heads": 4},
    "one key": {"num_key_value_heads": 1},
    "tied": {"tie_word_embeddings": True},
    "wide heads": {"head_dim": 16},
    "llama 3 positions": {
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 10_000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        }
    },
}


def expected(model: LlamaForCausalLM, tokens: list[int]) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model(torch.tensor([tokens])).logits[0, -1]
    return logits


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_logits_do_not_depend_on_how_tokens_are_batched(
    shape: dict[str, Any], tmp_path: Path
) -> None:
    model = tiny.llama(tmp_path, **shape)
    assert is_plain(model)
    wanted, other_wanted = expected(model, PROMPT), expected(model, OTHER)
    net = Llama(model)

    at_once = net.forward([(net.cache(), PROMPT)])[0]
    torch.testing.assert_close(at_once, wanted, atol=1e-4, rtol=1e-4)

    cache, other = net.cache(), net.cache()
    net.forward([(cache, PROMPT[:5])])
    net.forward([(other, OTHER[:1]), (cache, PROMPT[5:6])])
    together = net.forward([(cache, PROMPT[6:]), (other, OTHER[1:])])
    torch.testing.assert_close(together[0], wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(together[1], other_wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(expected(model, PROMPT), wanted)  # the weights are still its own


def test_a_copied_prefix_does_not_change_its_source(
    tmp_path: Path,
) -> None:
    model = tiny.llama(tmp_path)
    net = Llama(model)
    cache = net.cache()
    net.forward([(cache, PROMPT)])
    branch = cache.prefix(6)
    on_branch = net.forward([(branch, OTHER)])[0]
    on_trunk = net.forward([(cache, OTHER)])[0]
    torch.testing.assert_close(on_branch, expected(model, PROMPT[:6] + OTHER), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(on_trunk, expected(model, PROMPT + OTHER), atol=1e-4, rtol=1e-4)


def test_a_cache_grows_beyond_its_first_size(tmp_path: Path) -> None:
    model = tiny.llama(tmp_path)
    net = Llama(model)
    tokens = [at * 7 % 250 for at in range(400)]
    cache = net.cache()
    net.forward([(cache, tokens[:200])])
    grown = net.forward([(cache, tokens[200:])])[0]
    torch.testing.assert_close(grown, expected(model, tokens), atol=1e-3, rtol=1e-3)
    assert cache.length == 400


@pytest.mark.parametrize(
    "shape",
    [
        {"attention_bias": True},
        {"mlp_bias": True},
        {"hidden_act": "gelu"},
        {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
    ],
    ids=["attention bias", "mlp bias", "other activation", "positions that depend on length"],
)
def test_other_architectures_use_transformers(shape: dict[str, Any], tmp_path: Path) -> None:
    assert not is_plain(tiny.llama(tmp_path, **shape))
