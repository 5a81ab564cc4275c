"""Supervised fine-tuning: learn to answer as the rows' assistants do.

    python -m apprentice.training.sft --dataset runs/dataset --base novice --epochs 2

Only what the assistant says is learned, with the token that ends each turn. Samples share a row
only where the attention keeps them apart, which is tried before it is done.
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
    from apprentice.training.encoding import Encoded
    from apprentice.training.progress import Progress
    from apprentice.training.workbench import Workbench


def trainer(
    settings: SftSettings, dataset: Dataset, out: Path, progress: Progress, bench: Workbench
) -> Any:
    """Return the trainer of a job.

    Args:
        settings: the job's.
        dataset: what is learned from: rows with `messages` and perhaps `tools`.
        out: folder of the checkpoints.
        progress: where the training is reported.
        bench: what it works with.
    """
    from trl import SFTConfig, SFTTrainer

    from apprentice.training.arguments import arguments, attended
    from apprentice.training.base import attend, load
    from apprentice.training.batches import ByLength
    from apprentice.training.lora import policy

    base = load(settings, bench.local)
    limit = min(settings.max_length or base.context, base.context)
    samples = encoded(base, dataset.rows(), limit)
    held_out = encoded(base, dataset.valid(), limit)
    if not samples:
        raise MissingPart(
            f"No row of {dataset.folder} fits into {limit} tokens with an answer to learn. "
            "Raise max_length, or curate shorter rows."
        )
    packing = packs(settings, base)
    lengths = [len(sample.ids) for sample in samples]
    attend(base, settings.batch, max(lengths))

    class Conversations(SFTTrainer):  # type: ignore[misc]
        """The library's trainer on batches of like lengths."""

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            if packing:
                return super()._get_train_sampler(train_dataset)
            return ByLength(lengths, settings.batch, settings.seed)

    progress.say(
        "encoded",
        samples=len(samples),
        held_out=len(held_out),
        tokens=sum(lengths),
        learned=sum(sample.learned for sample in samples),
        max_length=limit,
        packing=packing,
    )
    config = SFTConfig(
        **arguments(settings, base, out, rows=len(samples), held_out=len(held_out)),
        max_length=limit,
        packing=packing,
        eval_packing=False,
    )
    made = Conversations(
        **policy(base, settings, bench.local),
        args=config,
        train_dataset=_columns(samples),
        eval_dataset=_columns(held_out) if held_out else None,
        processing_class=base.tokenizer,
    )
    return attended(made, settings, progress)


def encoded(base: Base, rows: list[Row], limit: int) -> list[Encoded]:
    """Return the samples of rows, cut to a number of tokens; what then teaches nothing is left."""
    samples = [
        sample.cut(limit)
        for row in rows
        for sample in base.chat.samples(row["messages"], row.get("tools") or ())
    ]
    return [sample for sample in samples if sample.learned]


def packs(settings: SftSettings, base: Base) -> bool:
    """Tell whether samples are to share rows.

    On a CPU it does not pay: a packed row's attention is computed over all of it.

    Raises:
        MissingPart: it was asked for, and this model's attention does not keep samples apart.
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
    """Try whether a sample reads the same with another one before it in its row."""
    import torch

    ids = torch.arange(16, device=base.device)[None] + 5
    places = torch.arange(8, device=base.device).repeat(2)[None]
    with torch.no_grad():
        together = base.model(input_ids=ids, position_ids=places, use_cache=False).logits[0, 8:]
        alone = base.model(input_ids=ids[:, 8:], use_cache=False).logits[0]
    # Mixed samples differ by whole units, rounding by hundredths.
    return bool((together - alone).abs().max() < 0.05 * alone.abs().max())


def _columns(samples: list[Encoded]) -> Any:
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
