"""Tiny bases and datasets for training: real ones, made in a moment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    Phi3Config,
    Phi3ForCausalLM,
)

from tests.models import tiny
from training.datasets.card import Dataset, fingerprint, load
from training.datasets.rows import Row, written

SHAPES = ("circle", "square")


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


def llava(folder: Path) -> LlavaForConditionalGeneration:
    """Save a random model with eyes, and return it."""
    torch.manual_seed(0)
    words = tiny.tokenizer()
    words.add_tokens(["<image>"], special_tokens=True)
    words.chat_template = (
        "{% for message in messages %}<|{{ message['role'] }}|>{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
        "<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    shape: dict[str, Any] = {
        **tiny.SHAPE,
        "initializer_range": 0.05,
        "vocab_size": len(words),
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
    }
    eyes = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
    )
    config = LlavaConfig(
        vision_config=eyes,
        text_config=LlamaConfig(**shape),
        image_token_index=words.get_vocab()["<image>"],
        vision_feature_layer=-1,
    )
    size = {"height": 32, "width": 32}
    processor = LlavaProcessor(  # type: ignore[no-untyped-call]
        image_processor=CLIPImageProcessorPil(size=size, crop_size=size),
        tokenizer=words,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=words.chat_template,
    )
    model = LlavaForConditionalGeneration(config)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model


def dataset(folder: Path, kind: str, rows: list[Row], valid: list[Row] | None = None) -> Dataset:
    """Write a dataset's folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in (("data.jsonl", rows), ("valid.jsonl", valid or [])):
        (folder / name).write_text(written(lines))
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


def shapes(folder: Path, count: int, *, start: int = 0) -> list[Row]:
    """Draw images of shapes into a folder, and return what is to be said of them."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(start, start + count):
        shape, name = SHAPES[number % 2], f"{number}.png"
        image = Image.new("RGB", (32, 32), "black")
        at = 2 + number % 8
        draw = ImageDraw.Draw(image).ellipse if shape == "circle" else None
        (draw or ImageDraw.Draw(image).rectangle)((at, at, at + 18, at + 18), fill="white")
        image.save(folder / name)
        asked = [{"type": "image", "text": ""}, {"type": "text", "text": "Which shape?"}]
        rows.append(
            {
                "messages": [
                    {"role": "user", "content": asked},
                    {"role": "assistant", "content": shape},
                ],
                "image": name,
            }
        )
    return rows
