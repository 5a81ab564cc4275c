"""Images: what is to be said of them is learned, and what was asked is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from transformers import AutoProcessor

from benchmarks import shape_images
from tests.training import tiny
from tests.training.conftest import Workplace
from tests.training.work import done, events, job

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*pin_memory.*"),
]
QUICK: dict[str, Any] = {"base": "eyes", "batch": 16, "learning_rate": 5e-3, "every": 20}


def test_shapes_never_seen_are_told_apart(workplace: Workplace) -> None:
    folder = workplace.root / "shapes"
    rows, new = (
        shape_images.labelled_images(folder, count, seed) for seed, count in enumerate((128, 32))
    )
    data = tiny.dataset(folder, "vision", rows, new)
    result = done(workplace, data, **QUICK, max_steps=40)
    losses = [event["loss"] for event in events(result, "evaluated")]
    assert losses[-1] < losses[0]
    merged = workplace.adapters.export_merged(
        workplace.look(result).outcome["adapter"], workplace.root / "merged"
    )
    wanted = [row["messages"][1]["content"] for row in new]
    images = [folder / row["image"] for row in new]
    right = [
        sum(
            one == other
            for one, other in zip(shape_images.name_shapes(model, images), wanted, strict=True)
        )
        for model in (workplace.models / "eyes", merged)
    ]
    assert right[1] / len(new) >= 0.6
    assert right[0] / len(new) <= 0.4


def test_only_the_answer_is_learned(workplace: Workplace) -> None:
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    from apprentice.training.vision import Collator

    folder = workplace.root / "shapes"
    rows = shape_images.labelled_images(folder, 2, 0)
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
    data = tiny.dataset(folder, "vision", shape_images.labelled_images(folder, 2, 0))
    harm(folder / "0-1.png")
    assert workplace.carry_out(job(workplace, data, **QUICK, max_steps=1)) == 1
    error = capsys.readouterr().err
    assert "0-1.png" in error
    assert said in error
