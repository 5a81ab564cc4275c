"""Token counts for local and hosted models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apprentice.models.tokens import context_length, counter, estimate
from apprentice.state.errors import BadInput, UnknownName
from tests.models import tiny
from tests.served import SHIPPED, served


def test_a_local_model_counts_with_its_own_tokenizer(tmp_path: Path) -> None:
    tiny.llama(tmp_path / "bytes")
    local = served(tmp_path).local
    text = "go to countertop 1"
    assert counter("local:bytes", local)(text) == len(text)
    assert (
        0 < counter("local:novice", local)(text) <= len(text.split())
    )  # phrases are single tokens
    assert counter("local:novice", local)("") == 0


@pytest.mark.parametrize("name", ["openai:gpt-5-mini", "ollama:qwen3"])
def test_a_hosted_models_count_is_estimated(name: str) -> None:
    assert counter(name, SHIPPED.local)("a" * 300) == 100
    assert counter(name, SHIPPED.local)("é" * 300) == 200
    assert (estimate(""), estimate("a")) == (0, 1)


def test_a_name_is_no_path() -> None:
    with pytest.raises(BadInput):
        counter("local:../novice", SHIPPED.local)
    with pytest.raises(UnknownName, match="Did you mean 'novice'"):
        counter("local:novcie", SHIPPED.local)


def test_a_local_model_has_a_context_length(tmp_path: Path) -> None:
    tiny.llama(tmp_path / "bytes")
    local = served(tmp_path).local
    settings = json.loads((tmp_path / "bytes" / "config.json").read_text())
    assert context_length("local:bytes", local) == settings["max_position_embeddings"]
    assert (context_length("local:novice", local) or 0) >= 2048
    assert context_length("openai:gpt-5-mini", local) is None
