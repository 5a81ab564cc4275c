"""Direct preference optimisation: prefer the better of two answers to one prompt.

    python -m apprentice.training.dpo --dataset runs/pairs --base novice --parent novice-sft-…

Rafailov et al. 2023 (arXiv 2305.18290). The reference is the model as training found it: the base
with no adapter, or with its parent. An answer may be the rest of an episode; what the environment
says in it counts for neither side. With `span` at step, what counts ends with the sentence in
which the two part (Lai et al. 2024, arXiv 2406.18629): what follows from a choice does not blur it.
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
    from apprentice.training.encoding import Encoded
    from apprentice.training.progress import Progress
    from apprentice.training.workbench import Workbench


def trainer(
    settings: DpoSettings, dataset: Dataset, out: Path, progress: Progress, bench: Workbench
) -> Any:
    """Return the trainer of a job.

    Args:
        settings: the job's.
        dataset: what is learned from: rows with `prompt`, `chosen` and `rejected`.
        out: folder of the checkpoints.
        progress: where the training is reported.
        bench: what it works with.
    """
    from trl import DPOConfig, DPOTrainer

    from apprentice.training.arguments import arguments, attended
    from apprentice.training.base import attend, load
    from apprentice.training.batches import ByLength
    from apprentice.training.lora import policy

    class Pairs(DPOTrainer):  # type: ignore[misc]
        """The library's trainer on pairs that are tokens already."""

        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

        def _get_train_sampler(self, _: Any = None) -> Any:
            return ByLength(lengths, settings.batch, settings.seed)

    base = load(settings, bench.local)
    limit = min(settings.max_length or base.context, base.context)
    given, span = dataset.rows(), settings.span
    held_out = encoded(base, dataset.valid(), limit, span)
    pairs = encoded(base, given, limit, span)
    if not pairs:
        raise MissingPart(
            f"No pair of {dataset.folder} fits into {limit} tokens with both answers whole. "
            "Raise max_length, or curate shorter rows."
        )
    lengths = [max(len(better.ids), len(worse.ids)) for better, worse in pairs]
    attend(base, 2 * settings.batch, max(lengths))
    progress.say(
        "encoded",
        pairs=len(pairs),
        held_out=len(held_out),
        dropped=len(given) - len(pairs),
        max_length=limit,
    )
    config = DPOConfig(
        **arguments(settings, base, out, rows=len(pairs), held_out=len(held_out)),
        beta=settings.beta,
        **_losses(settings),
        max_length=None,  # what does not fit was left out, so no pair loses its answer
        remove_unused_columns=False,
    )
    made = Pairs(
        **policy(base, settings, bench.local),
        args=config,
        data_collator=Collator(base.tokenizer.pad_token_id),
        train_dataset=_columns(pairs),
        eval_dataset=_columns(held_out) if held_out else None,
        processing_class=base.tokenizer,
    )
    return attended(made, settings, progress)


def _losses(settings: DpoSettings) -> dict[str, Any]:
    """Return the losses: preference alone lets both answers become unlikely, imitation does not.

    Liu et al. 2024 (arXiv 2405.16436) show the second to be a regulariser of the first.
    """
    if not settings.imitation:
        return {}
    return {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, settings.imitation]}


def encoded(
    base: Base, rows: list[Row], limit: int, span: Span = "answer"
) -> list[tuple[Encoded, Encoded]]:
    """Return the pairs that fit into a number of tokens, each as the better and the worse.

    Args:
        base: whose tokens they are.
        rows: with `prompt`, `chosen` and `rejected`.
        limit: how many tokens a side may have.
        span: what counts of an answer.
    """
    pairs = []
    for row in rows:
        better, worse = (_answer(base, row, side) for side in ("chosen", "rejected"))
        if better and worse and max(len(better.ids), len(worse.ids)) <= limit:
            pairs.append((better, worse))
    if span == "step":
        return [_to_the_step(base, *pair) for pair in pairs]
    return pairs


def _to_the_step(base: Base, better: Encoded, worse: Encoded) -> tuple[Encoded, Encoded]:
    """Let two answers count to the end of the sentence or line in which they begin to differ."""
    both = list(zip(better.ids, worse.ids, strict=False))
    parted = next((at for at, (one, other) in enumerate(both) if one != other), len(both))
    one, other = (side.to_sentence_end(base.tokenizer, parted) for side in (better, worse))
    return one, other


def _answer(base: Base, row: Row, side: str) -> Encoded | None:
    prompt = row["prompt"]
    found = base.chat.samples([*prompt, *row[side]], row.get("tools") or (), first=len(prompt))
    return found[0] if found else None


def _columns(pairs: list[tuple[Encoded, Encoded]]) -> Any:
    from datasets import Dataset as Columns

    sides: dict[str, list[list[int]]] = {}
    for number, side in enumerate(("chosen", "rejected")):
        sides[f"{side}_ids"] = [pair[number].ids for pair in pairs]
        sides[f"{side}_labels"] = [pair[number].labels for pair in pairs]
    return Columns.from_dict(sides)


@dataclass(frozen=True)
class Collator:
    """Lays pairs into one batch, the better halves first, as the trainer expects them."""

    pad: int

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Return [2 * pairs, longest] tensors; `completion_mask` is 1 where a token counts."""
        import torch
        from torch.nn.utils.rnn import pad_sequence

        from apprentice.training.encoding import IGNORED

        sides = [(row, side) for side in ("chosen", "rejected") for row in rows]
        ids = [torch.tensor(row[f"{side}_ids"]) for row, side in sides]
        counted = [torch.tensor(row[f"{side}_labels"]) != IGNORED for row, side in sides]
        return {
            "input_ids": pad_sequence(ids, batch_first=True, padding_value=self.pad),
            "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
            "completion_mask": pad_sequence([row.long() for row in counted], batch_first=True),
        }


if __name__ == "__main__":
    from apprentice.training.commands import run

    run(DpoSettings)
