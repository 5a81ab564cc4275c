"""The trainer arguments that all methods share, derived from a job's settings."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import EarlyStoppingCallback, PrinterCallback, Trainer
from trl.kernels import chunked_logprob
from trl.trainer import utils as trl_utils

from apprentice.training.base import Base, bf16_pays
from apprentice.training.lora import complete_head
from apprentice.training.progress import Progress, Reporter
from apprentice.training.settings import JobSettings


def arguments(
    settings: JobSettings, base: Base, out: Path, *, rows: int, held_out: int
) -> dict[str, Any]:
    """Return the arguments that every trainer takes.

    Args:
        settings: the settings of the job.
        base: the model to train.
        out: the folder of the checkpoints.
        rows: the number of samples to train on.
        held_out: the number of samples to evaluate on.
    """
    device = base.device
    steps = settings.max_steps or math.ceil(
        settings.epochs * math.ceil(rows / (settings.batch * settings.accumulate))
    )
    every = min(settings.every or max(1, math.ceil(steps / 10)), steps)
    recompute = {"on": True, "off": False, "auto": not base.small}[settings.checkpointing]
    evaluation: dict[str, Any] = (
        {
            "eval_strategy": "steps",
            "eval_steps": every,
            "per_device_eval_batch_size": settings.batch,
            "load_best_model_at_end": True,
            "metric_for_best_model": "eval_loss",
            "greater_is_better": False,
        }
        if held_out
        else {"eval_strategy": "no"}
    )
    return evaluation | {
        "output_dir": str(out),
        "per_device_train_batch_size": settings.batch,
        "gradient_accumulation_steps": settings.accumulate,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": settings.warmup,
        "num_train_epochs": settings.epochs,
        "max_steps": settings.max_steps or -1,
        "logging_steps": max(1, every // 5),
        "logging_first_step": True,
        "logging_nan_inf_filter": False,  # it would hide a broken loss
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": 2,
        "seed": settings.seed,
        "data_seed": settings.seed,
        "activation_checkpointing": recompute,
        "bf16": bf16_pays(device),
        "use_cpu": device.type == "cpu",
        "dataloader_pin_memory": device.type == "cuda",
        "report_to": "none",
        "disable_tqdm": True,
    }


def add_reports(trainer: Trainer, settings: JobSettings, progress: Progress) -> Trainer:
    """Add progress reports to a trainer, and stop it early if the held-out loss stops falling."""
    complete_head(trainer.model)
    trainer.compute_loss = _on_what_is_learned()(trainer.compute_loss)  # type: ignore[method-assign]
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Reporter(progress))
    if settings.patience and trainer.args.eval_strategy != "no":
        trainer.add_callback(EarlyStoppingCallback(settings.patience))
    return trainer


@contextmanager
def _on_what_is_learned() -> Iterator[None]:
    """Make the library's loss score only the tokens to learn, on a CPU as well as on a GPU.

    Without Triton the library scores all tokens, because some devices compile every new shape. A
    CPU does not.
    """
    trl_utils._use_triton = lambda on: on.type == "cpu" or chunked_logprob._use_triton(on)
    try:
        yield
    finally:
        trl_utils._use_triton = chunked_logprob._use_triton
