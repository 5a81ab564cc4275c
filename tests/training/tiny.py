"""Tiny bases and datasets for training: real ones, made in a moment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import Phi3Config, Phi3ForCausalLM

from apprentice.training.datasets.card import Dataset, fingerprint, load
from apprentice.training.datasets.rows import Row, to_jsonl
from tests.models import tiny


def phi3(folder: Path) -> Phi3ForCausalLM:
    """Save a random Phi-3, whose projections are fused, with its tokenizer, and return it."""
    torch.manual_seed(0)
    words = tiny.tokenizer()
    settings = tiny.SHAPE | {
        "vocab_size": len(words),
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
    }
    return tiny.saved(folder, Phi3ForCausalLM(Phi3Config(**settings)), words)


def dataset(folder: Path, kind: str, rows: list[Row], valid: list[Row] | None = None) -> Dataset:
    """Write a dataset's folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in (("data.jsonl", rows), ("valid.jsonl", valid or [])):
        (folder / name).write_text(to_jsonl(lines))
    card: dict[str, Any] = {"kind": kind, "counts": {"rows": len(rows)}}
    card["fingerprint"] = fingerprint(folder / "data.jsonl")
    card["valid_fingerprint"] = fingerprint(folder / "valid.jsonl")
    (folder / "card.json").write_text(json.dumps(card))
    return load(folder)


def turns(*texts: str) -> list[Row]:
    """Return a conversation that a user begins."""
    roles = ("user", "assistant")
    return [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]


def chats(count: int, *, start: int = 0) -> list[Row]:
    """Return conversations that all teach the same: to answer with a smile."""
    return [
        {"messages": turns(f"say {number}", ":-)", "again", ":-)")}
        for number in range(start, start + count)
    ]
