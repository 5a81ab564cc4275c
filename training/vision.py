"""Supervised fine-tuning on images: learn the answer about each image.

    python -m apprentice.training.vision --dataset runs/labels --base my-vision-model

A row is a conversation about one image, which is a file in the dataset's folder. The model learns
the last answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apprentice.state.errors import BrokenData, MissingPart
from apprentice.training.datasets.card import Dataset
from apprentice.training.datasets.rows import Row
from apprentice.training.settings import VisionSettings

if TYPE_CHECKING:
    from apprentice.training.progress import Progress
    from apprentice.training.workbench import Workbench


def trainer(
    settings: VisionSettings, dataset: Dataset, out: Path, progress: Progress, bench: Workbench
) -> Any:
    """Return the trainer of a job.

    Args:
        settings: the settings of the job; its base must read images.
        dataset: rows with `messages` and `image`.
        out: the folder of the checkpoints.
        progress: the writer of progress events.
        bench: the workbench of the job.

    Raises:
        MissingPart: the dataset has no rows.
    """
    from trl import SFTConfig, SFTTrainer
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    from apprentice.training.arguments import add_reports, arguments
    from apprentice.training.base import load
    from apprentice.training.lora import policy

    rows, held_out = dataset.rows(), dataset.valid()
    if not rows:
        raise MissingPart(
            f"The dataset {dataset.folder} has no rows, so there is nothing to learn. "
            "Make a dataset with rows."
        )
    base = load(settings, bench.local, sees=True)
    progress.say("encoded", samples=len(rows), held_out=len(held_out))
    config = SFTConfig(
        **arguments(settings, base, out, rows=len(rows), held_out=len(held_out)),
        max_length=None,  # a cut could remove a part of an image
        remove_unused_columns=False,
    )
    batch = DataCollatorForVisionLanguageModeling(base.processor, completion_only_loss=True)
    vision_trainer = SFTTrainer(
        **policy(base, settings, bench.local),
        args=config,
        data_collator=Collator(dataset.folder, batch),
        train_dataset=_columns(rows),
        eval_dataset=_columns(held_out) if held_out else None,
        processing_class=base.processor,
    )
    return add_reports(vision_trainer, settings, progress)


@dataclass(frozen=True)
class Collator:
    """Opens the images of rows when they are needed, and puts the rows into a batch.

    Attributes:
        folder: the folder of the images.
        batch: the library's collator.
    """

    folder: Path
    batch: Any

    def __call__(self, columns: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the model's input, with labels for the answers only."""
        rows = [json.loads(column["row"]) for column in columns]
        batch: dict[str, Any] = self.batch(
            [
                {
                    "prompt": [_in_parts(turn) for turn in row["messages"][:-1]],
                    "completion": [_in_parts(row["messages"][-1])],
                    "images": [_open_image(self.folder / row["image"])],
                }
                for row in rows
            ]
        )
        return batch


def _open_image(file: Path) -> Any:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            return image.convert("RGB")
    except FileNotFoundError:
        raise MissingPart(
            f"The image {file} is missing. Restore it, or make the dataset again."
        ) from None
    except (UnidentifiedImageError, OSError) as error:
        raise BrokenData(
            f"The image {file} cannot be read: {error}. Restore it, or make the dataset again."
        ) from error


def _in_parts(turn: Row) -> Row:
    content = turn["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return {"role": turn["role"], "content": parts}


def _columns(rows: list[Row]) -> Any:
    from datasets import Dataset as Columns

    return Columns.from_dict(
        {"row": [json.dumps(row) for row in rows], "images": [[row["image"]] for row in rows]}
    )


if __name__ == "__main__":
    from apprentice.training.commands import run

    run(VisionSettings)
