"""Direct preference optimisation: prefer the better of two answers to one prompt.

    python -m apprentice.training.dpo --dataset runs/pairs --base novice --parent novice-sft-…

Source: Rafailov et al. 2023 (arXiv 2305.18290). The reference is the model before the training: the
base without an adapter, or with the parent adapter. An answer may be the rest of an episode; the
environment's turns in it do not count. With `span` set to `step`, an answer counts up to the end of
the sentence in which the two diverge (Lai et al. 2024, arXiv 2406.18629), so that the consequences
of a choice do not obscure the choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apprentice.state.errors import MissingPart
from apprentice.training.datasets.card import Dataset
from apprentice.training.datasets.rows import Row
from apprentice.training.settings import DpoSettings, Span

if TYPE_CHECKING:
    from apprentice.training.base import Base
    from apprentice.training.encoding import Encoding
    from apprentice.training.progress import Progress
    from apprentice.training.workbench import Workbench


def trainer(
    settings: DpoSettings, dataset: Dataset, out: Path, progress: Progress, bench: Workbench
) -> Any:
    """Return the trainer of a job.

    Args:
        settings: the settings of the job.
        dataset: rows with `prompt`, `chosen` and `rejected`.
        out: the folder of the checkpoints.
        progress: the writer of progress events.
        bench: the workbench of the job.

    Raises:
        MissingPart: no pair fits.
    """
    from trl import DPOConfig, DPOTrainer

    from apprentice.training.arguments import add_reports, arguments
    from apprentice.training.base import attend, load
    from apprentice.training.batches import ByLength
    from apprentice.training.lora import policy

    class Pairs(DPOTrainer):  # type: ignore[misc]
        """The library's trainer on pairs that are already tokens."""

        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

        def _get_train_sampler(self, _: Any = None) -> Any:
            return ByLength(lengths, settings.batch, settings.seed)

    base = load(settings, bench.local)
    limit = min(settings.max_length or base.context, base.context)
    rows, span = dataset.rows(), settings.span
    held_out = encode_pairs(base, dataset.valid(), limit, span)
    pairs = encode_pairs(base, rows, limit, span)
    if not pairs:
        raise MissingPart(
            f"No pair of {dataset.folder} fits into {limit} tokens with both answers complete. "
            "Raise max_length, or make a dataset of shorter rows."
        )
    lengths = [max(len(better.ids), len(worse.ids)) for better, worse in pairs]
    attend(base, 2 * settings.batch, max(lengths))
    progress.say(
        "encoded",
        pairs=len(pairs),
        held_out=len(held_out),
        dropped=len(rows) - len(pairs),
        max_length=limit,
    )
    config = DPOConfig(
        **arguments(settings, base, out, rows=len(pairs), held_out=len(held_out)),
        beta=settings.beta,
        **_losses(settings),
        max_length=None,  # pairs that do not fit were left out, so no answer is cut
        remove_unused_columns=False,
    )
    dpo_trainer = Pairs(
        **policy(base, settings, bench.local),
        args=config,
        data_collator=Collator(base.tokenizer.pad_token_id),
        train_dataset=_columns(pairs),
        eval_dataset=_columns(held_out) if held_out else None,
        processing_class=base.tokenizer,
    )
    return add_reports(dpo_trainer, settings, progress)


def _losses(settings: DpoSettings) -> dict[str, Any]:
    """Return the losses and their weights.

    With preference alone, both answers can become unlikely. Imitating the better answer prevents
    this; it regularises the preference loss (Liu et al. 2024, arXiv 2405.16436).
    """
    if not settings.imitation:
        return {}
    return {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, settings.imitation]}


def encode_pairs(
    base: Base, rows: list[Row], limit: int, span: Span = "answer"
) -> list[tuple[Encoding, Encoding]]:
    """Return the pairs that fit into `limit` tokens, each as (better, worse).

    Args:
        base: the model, for its tokenizer and template.
        rows: rows with `prompt`, `chosen` and `rejected`.
        limit: the most tokens of a prompt with one answer.
        span: the part of an answer that counts.
    """
    pairs = []
    for row in rows:
        better, worse = (_answer(base, row, side) for side in ("chosen", "rejected"))
        if better and worse and max(len(better.ids), len(worse.ids)) <= limit:
            pairs.append((better, worse))
    if span == "step":
        return [_to_the_step(base, *pair) for pair in pairs]
    return pairs


def _to_the_step(base: Base, better: Encoding, worse: Encoding) -> tuple[Encoding, Encoding]:
    """Cut the labels of two answers after the sentence or line in which they diverge."""
    both = list(zip(better.ids, worse.ids, strict=False))
    split = next((at for at, (one, other) in enumerate(both) if one != other), len(both))
    one, other = (side.to_sentence_end(base.tokenizer, split) for side in (better, worse))
    return one, other


def _answer(base: Base, row: Row, side: str) -> Encoding | None:
    prompt = row["prompt"]
    samples = base.chat.samples([*prompt, *row[side]], row.get("tools") or (), first=len(prompt))
    return samples[0] if samples else None


def _columns(pairs: list[tuple[Encoding, Encoding]]) -> Any:
    from datasets import Dataset as Columns

    sides: dict[str, list[list[int]]] = {}
    for number, side in enumerate(("chosen", "rejected")):
        sides[f"{side}_ids"] = [pair[number].ids for pair in pairs]
        sides[f"{side}_labels"] = [pair[number].labels for pair in pairs]
    return Columns.from_dict(sides)


@dataclass(frozen=True)
class Collator:
    """Puts pairs into one batch, the better answers first, as the trainer expects."""

    pad: int

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Return (2 * pairs, longest) tensors; `completion_mask` is 1 for tokens that count."""
        import torch
        from torch.nn.utils.rnn import pad_sequence

        from apprentice.training.encoding import IGNORED

        sides = [(row, side) for side in ("chosen", "rejected") for row in rows]
        ids = [torch.tensor(row[f"{side}_ids"]) for row, side in sides]
        masks = [torch.tensor(row[f"{side}_labels"]) != IGNORED for row, side in sides]
        return {
            "input_ids": pad_sequence(ids, batch_first=True, padding_value=self.pad),
            "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
            "completion_mask": pad_sequence([row.long() for row in masks], batch_first=True),
        }


if __name__ == "__main__":
    from apprentice.training.commands import run

    run(DpoSettings)
