"""Supervised fine-tuning: learn to answer like the assistant in the rows.

    python -m apprentice.training.sft --dataset runs/dataset --base novice --epochs 2

The model learns only the assistant's turns, each with its end token. Several samples share a row
only if a test shows that the model's attention separates them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from apprentice.state.errors import MissingPart
from apprentice.training.datasets.card import Dataset
from apprentice.training.datasets.rows import Row
from apprentice.training.settings import SftSettings

if TYPE_CHECKING:
    from apprentice.training.base import Base
    from apprentice.training.encoding import Encoding
    from apprentice.training.progress import Progress
    from apprentice.training.workbench import Workbench


def trainer(
    settings: SftSettings, dataset: Dataset, out: Path, progress: Progress, bench: Workbench
) -> Any:
    """Return the trainer of a job.

    Args:
        settings: the settings of the job.
        dataset: rows with `messages` and optionally `tools`.
        out: the folder of the checkpoints.
        progress: the writer of progress events.
        bench: the workbench of the job.

    Raises:
        MissingPart: no row fits, or packing is on and the model cannot pack.
    """
    from trl import SFTConfig, SFTTrainer

    from apprentice.training.arguments import add_reports, arguments
    from apprentice.training.base import attend, load
    from apprentice.training.batches import ByLength
    from apprentice.training.lora import policy

    base = load(settings, bench.local)
    limit = min(settings.max_length or base.context, base.context)
    samples = encode(base, dataset.rows(), limit)
    held_out = encode(base, dataset.valid(), limit)
    if not samples:
        raise MissingPart(
            f"No row of {dataset.folder} has an answer within its first {limit} tokens. "
            "Raise max_length, or make a dataset of shorter rows."
        )
    pack = packs(settings, base)
    lengths = [len(sample.ids) for sample in samples]
    attend(base, settings.batch, max(lengths))

    class Conversations(SFTTrainer):  # type: ignore[misc]
        """The library's trainer on batches of similar lengths."""

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            if pack:
                return super()._get_train_sampler(train_dataset)
            return ByLength(lengths, settings.batch, settings.seed)

    progress.say(
        "encoded",
        samples=len(samples),
        held_out=len(held_out),
        tokens=sum(lengths),
        learned=sum(sample.label_count for sample in samples),
        max_length=limit,
        packing=pack,
    )
    config = SFTConfig(
        **arguments(settings, base, out, rows=len(samples), held_out=len(held_out)),
        max_length=limit,
        packing=pack,
        eval_packing=False,
    )
    sft_trainer = Conversations(
        **policy(base, settings, bench.local),
        args=config,
        train_dataset=_columns(samples),
        eval_dataset=_columns(held_out) if held_out else None,
        processing_class=base.tokenizer,
    )
    return add_reports(sft_trainer, settings, progress)


def encode(base: Base, rows: list[Row], limit: int) -> list[Encoding]:
    """Return the samples of rows, cut to `limit` tokens, without those that have no labels."""
    samples = [
        sample.cut(limit)
        for row in rows
        for sample in base.chat.samples(row["messages"], row.get("tools") or ())
    ]
    return [sample for sample in samples if sample.label_count]


def packs(settings: SftSettings, base: Base) -> bool:
    """Return whether several samples share a row.

    On a CPU this does not pay, because attention is computed over the whole row.

    Raises:
        MissingPart: packing is on, but the model's attention does not separate samples.
    """
    if settings.packing == "off" or (settings.packing == "auto" and base.device.type == "cpu"):
        return False
    apart = keeps_apart(base)
    if settings.packing == "on" and not apart:
        raise MissingPart(
            f"The attention of local:{base.name} mixes samples that share a row, so packing would "
            "teach it wrongly. Set packing to auto or off."
        )
    return apart


def keeps_apart(base: Base) -> bool:
    """Return whether a sample has the same logits with another sample before it in its row."""
    import torch

    ids = torch.arange(16, device=base.device)[None] + 5
    places = torch.arange(8, device=base.device).repeat(2)[None]
    with torch.no_grad():
        after_another = base.model(input_ids=ids, position_ids=places, use_cache=False).logits[
            0, 8:
        ]
        alone = base.model(input_ids=ids[:, 8:], use_cache=False).logits[0]
    # Mixed samples differ by whole units, rounding by hundredths.
    return bool((after_another - alone).abs().max() < 0.05 * alone.abs().max())


def _columns(samples: list[Encoding]) -> Any:
    from datasets import Dataset as Columns

    return Columns.from_dict(
        {
            "input_ids": [sample.ids for sample in samples],
            "labels": [sample.labels for sample in samples],
        }
    )


if __name__ == "__main__":
    from apprentice.training.commands import run

    run(SftSettings)
