"""Images: what is to be said of them is learned, and what was asked is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from tests.training import tiny
from tests.training.conftest import Workplace
from tests.training.work import done, events, job
from training.adapters import export_merged
from training.jobs import look
from training.run import carry_out

pytestmark = [
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated"),
    pytest.mark.filterwarnings("ignore:.*pin_memory.*"),
]
QUICK: dict[str, Any] = {"base": "eyes", "batch": 8, "learning_rate": 1e-2, "every": 20}


def likelier(model: Any, processor: Any, image: Path) -> str:
    """Return the shape whose name the model finds likelier."""
    asked = "<|user|><image>Which shape?<|end|><|assistant|>"
    said = {}
    for shape in tiny.SHAPES:
        with Image.open(image) as opened:
            read = processor(images=opened.convert("RGB"), text=asked + shape, return_tensors="pt")
        with torch.no_grad():
            odds = model(**read).logits[0].log_softmax(-1)
        ids = read["input_ids"][0]
        start = len(ids) - len(shape)
        said[shape] = sum(float(odds[at - 1, ids[at]]) for at in range(start, len(ids)))
    return max(said, key=lambda shape: said[shape] / len(shape))


def test_shapes_never_seen_are_told_apart(workplace: Workplace) -> None:
    folder = workplace.root / "shapes"
    rows = tiny.shapes(folder, 48)
    data = tiny.dataset(folder, "vision", rows[:32], rows[32:])
    result = done(workplace.root, data, **QUICK, max_steps=40)
    losses = [event["loss"] for event in events(result, "evaluated")]
    assert losses[-1] < losses[0]
    merged = export_merged(look(result).outcome["adapter"], workplace.root / "merged")
    model = AutoModelForImageTextToText.from_pretrained(merged)
    processor = AutoProcessor.from_pretrained(  # type: ignore[no-untyped-call]
        merged
    )
    right = [
        likelier(model, processor, folder / row["image"]) == row["messages"][1]["content"]
        for row in rows[32:]
    ]
    assert sum(right) / len(right) >= 0.8


def test_only_the_answer_is_learned(workplace: Workplace) -> None:
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    from training.vision import Collator

    folder = workplace.root / "shapes"
    rows = tiny.shapes(folder, 2)
    processor = AutoProcessor.from_pretrained(  # type: ignore[no-untyped-call]
        workplace.models / "eyes"
    )
    collate = Collator(
        folder, DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
    )
    batch = collate([{"row": json.dumps(row)} for row in rows])
    learned = [processor.tokenizer.decode(row[row != -100]) for row in batch["labels"]]
    assert learned == ["circle<|end|>", "square<|end|>"]
    assert batch["pixel_values"].shape == (2, 3, 32, 32)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda file: file.unlink(), "is missing"),
        (lambda file: file.write_bytes(b"no image"), "cannot be read"),
    ],
)
def test_an_image_that_cannot_be_shown_is_named(
    workplace: Workplace, harm: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = workplace.root / "shapes"
    data = tiny.dataset(folder, "vision", tiny.shapes(folder, 2))
    harm(folder / "1.png")
    assert carry_out(job(workplace.root, data, **QUICK, max_steps=1)) == 1
    error = capsys.readouterr().err
    assert "1.png" in error
    assert said in error
