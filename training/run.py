"""Run a training job: from its folder to an adapter in the registry.

This is the entry point for every method. Every failure ends a job with one sentence, in
`failure.json` and on stderr, and with a non-zero exit status. The next start continues from the
last checkpoint.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from apprentice.settings import quieten_libraries
from apprentice.state.errors import AlreadyRunning, ApprenticeError, TrainingFailure, missing_extra
from apprentice.state.redaction import public_message
from apprentice.training import jobs
from apprentice.training.adapters import WEIGHTS, Adapter, Adapters, code_version
from apprentice.training.figures import GIVEN_UP, figures, starts_in_vain
from apprentice.training.jobs import Job
from apprentice.training.workbench import Workbench

if TYPE_CHECKING:
    from apprentice.training.datasets.card import Dataset
    from apprentice.training.progress import Progress

ADAPTER: Final = "adapter"
CHECKPOINT: Final = "checkpoint-*"
_STATE: Final = "trainer_state.json"
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
_FULL: Final = (
    "no space left", "disk quota exceeded", "file write failed",
    "unexpected pos", "iostream error",  # of torch, whose writer does not say why
)  # fmt: skip
_NO_MEMORY: Final = ("out of memory", "can't allocate memory")
_FREE: Final = 200 << 20  # bytes
STARTS: Final = 5
"""The most starts of a training without a new checkpoint."""


def carry_out(folder: Path, bench: Workbench, *, in_turn: bool = False) -> int:
    """Run the job in a folder; return the process's exit status.

    Progress goes to stdout, one JSON object per line. All other output goes to stderr.

    Args:
        folder: the folder of the job.
        bench: the workbench of the job.
        in_turn: whether to wait until no other job with `in_turn` trains on this machine.
    """
    quieten_libraries()
    try:
        job = jobs.read_job(folder)
        with jobs.hold_lock(folder) as lock:
            if jobs.look(folder, bench.adapters).stage == "done":
                return 0
            turn = jobs.in_turn(folder, lock) if in_turn else nullcontext()
            jobs.check_wanted(folder)
            with turn, record_failure(folder):
                if not _restore_adapter(folder, job, bench):
                    stdout = sys.stdout
                    with redirect_stdout(sys.stderr):
                        _train(folder, job, bench, stdout)
    except ApprenticeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


@contextmanager
def record_failure(folder: Path) -> Iterator[None]:
    """Write the error that ends a job into the job's folder, as one sentence."""
    try:
        with named_errors():
            yield
    except AlreadyRunning:
        raise
    except ApprenticeError as error:
        _fail(folder, error, str(error))
        raise
    except Exception as error:  # the boundary of the process: observers must see the error
        _fail(
            folder,
            error,
            f"The training crashed: {public_message(error)}. See {folder / jobs.LOG}.",
        )
        raise


def _fail(folder: Path, error: Exception, message: str) -> None:
    facts = {"error": message, "kind": type(error).__name__, "at": time.time()}
    with suppress(OSError):  # the disk may be full
        jobs.write_whole(folder / jobs.FAILURE, facts)


@contextmanager
def named_errors() -> Iterator[None]:
    """Convert a full disk and a lack of memory into errors with sentences."""
    try:
        yield
    except ApprenticeError:
        raise
    except Exception as error:
        if _is_disk_full(error):
            raise TrainingFailure(
                "The disk is full. Free some space and launch the job again. It continues from its "
                "last complete checkpoint."
            ) from error
        # torch.OutOfMemoryError is a RuntimeError; the CPU's allocator differs only in its words.
        words = str(error).lower() if isinstance(error, RuntimeError) else ""
        if isinstance(error, MemoryError) or any(phrase in words for phrase in _NO_MEMORY):
            raise _out_of_memory() from error
        raise


def _is_disk_full(error: BaseException | None) -> bool:
    """Return whether an error or one of its causes is about a full disk, in any library's words."""
    while error is not None:
        words = str(error).lower()
        if getattr(error, "errno", None) in _NO_ROOM or any(phrase in words for phrase in _FULL):
            return True
        error = error.__cause__ or error.__context__
    return False


def _out_of_memory() -> TrainingFailure:
    return TrainingFailure(
        "Out of memory. Halve `batch` and double `accumulate`, which gives the same result. Or set "
        "`checkpointing` to on, lower `max_length`, or set `quantised`."
    )


def _train(folder: Path, job: Job, bench: Workbench, stdout: TextIO) -> None:
    (folder / jobs.FAILURE).unlink(missing_ok=True)
    dataset = job.rows()
    _check_room(folder)
    try:
        from apprentice.training.progress import Progress, peak_memory_mb
    except ImportError as error:
        raise missing_extra("training", "Training", error) from error
    progress = Progress(folder / jobs.PROGRESS, stdout)
    if starts_in_vain(folder / jobs.PROGRESS) >= STARTS:
        progress.say(GIVEN_UP)
        raise TrainingFailure(
            f"The training was started {STARTS} times without reaching its next checkpoint. "
            "Usually the system kills it because memory runs out: halve `batch` and double "
            "`accumulate`, or set `checkpointing` to on. Or save more often: lower `every`."
        )
    progress.say(
        "started",
        job=folder.name,
        method=job.settings.method,
        base=job.settings.base,
        dataset=dataset.folder.name,
        process=os.getpid(),
    )
    metrics = _learn(folder, job, dataset, bench, progress)
    progress.say("trained", memory_mb=peak_memory_mb())
    metrics |= figures(folder / jobs.PROGRESS)
    adapter = conclude(folder, job, metrics, bench.adapters)
    shutil.rmtree(folder / jobs.CHECKPOINTS, ignore_errors=True)
    progress.say("finished", adapter=adapter.name, **metrics)


def _restore_adapter(folder: Path, job: Job, bench: Workbench) -> bool:
    """Register the adapter of a finished job again, if the registry has lost it.

    If the weights are missing in the job's folder, too, remove its result, so that it trains again.
    """
    if not (folder / jobs.RESULT).is_file():
        return False
    if (folder / ADAPTER / WEIGHTS).is_file():
        metrics = json.loads((folder / jobs.RESULT).read_text())["metrics"]
        conclude(folder, job, metrics, bench.adapters)
        return True
    for name in (jobs.RESULT, jobs.PROGRESS):
        (folder / name).unlink(missing_ok=True)
    return False


def _learn(
    folder: Path, job: Job, dataset: Dataset, bench: Workbench, progress: Progress
) -> dict[str, float]:
    """Train from the last complete checkpoint, save the adapter, and return the metrics."""
    method: Any = import_module(f"apprentice.training.{job.settings.method}")
    trainer = method.trainer(job.settings, dataset, folder / jobs.CHECKPOINTS, progress, bench)
    last = last_checkpoint(folder / jobs.CHECKPOINTS)
    if last:
        progress.say("resumed", step=int(last.name.rpartition("-")[2]))
    result = trainer.train(resume_from_checkpoint=str(last) if last else None)
    shutil.rmtree(folder / ADAPTER, ignore_errors=True)
    trainer.model.save_pretrained(str(folder / ADAPTER), selected_adapters=["default"])
    if trainer.model.peft_config["default"].trainable_token_indices:
        # The training added tokens to the vocabulary, so the adapter needs its own tokenizer.
        trainer.processing_class.save_pretrained(str(folder / ADAPTER))
    metrics = {"train_loss": float(result.training_loss), "steps": float(result.global_step)}
    if trainer.state.best_metric is not None:
        metrics["eval_loss"] = float(trainer.state.best_metric)
    return metrics


def conclude(folder: Path, job: Job, metrics: dict[str, float], adapters: Adapters) -> Adapter:
    """Register the adapter that a job has saved, and write the job's result."""
    card = Adapter(
        name=job.adapter,
        method=job.settings.method,
        base=job.settings.base,
        base_fingerprint=job.base_fingerprint,
        parent=job.settings.parent,
        dataset=job.fingerprint,
        job=job.id,
        tenant=job.tenant,
        code=code_version(),
        settings=job.settings.model_dump(),
        metrics=metrics,
    )
    adapter = adapters.register(card, folder / ADAPTER)
    result = {"adapter": adapter.name, "metrics": metrics, "at": time.time()}
    jobs.write_whole(folder / jobs.RESULT, result)
    return adapter


def last_checkpoint(folder: Path) -> Path | None:
    """Return the last complete checkpoint; remove later ones, which a crash left incomplete."""
    checkpoints = sorted(
        folder.glob(CHECKPOINT), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True
    )
    for checkpoint in checkpoints:
        # The trainer writes the state last.
        with suppress(OSError, ValueError):
            json.loads((checkpoint / _STATE).read_text())
            return checkpoint
        shutil.rmtree(checkpoint)
    return None


def _check_room(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _FREE:
        raise TrainingFailure(
            f"Only {free >> 20} MB are free on the disk of {folder}, but checkpoints need at least "
            f"{_FREE >> 20} MB. Free some space and launch the job again."
        )
