"""Carry out a job: from its folder to an adapter in the registry.

The one way in for every method. Whatever ends a job ends it with one sentence, in `failure.json`
and on stderr, and a status that is not zero; what was saved before is where the next start goes on.
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
from apprentice.state.errors import AlreadyRunning, ApprenticeError, MissingExtra, TrainingFailure
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
"""Starts that a training has to come to its next checkpoint."""


def carry_out(folder: Path, bench: Workbench, *, in_turn: bool = False) -> int:
    """Do the job in a folder; return the process's exit status.

    Progress goes to stdout, a JSON object a line; all else to stderr.

    Args:
        folder: the job's.
        bench: what it works with.
        in_turn: whether it waits until no other job that does so is in training on this machine.
    """
    quieten_libraries()
    try:
        job = jobs.read_job(folder)
        with jobs.holding(folder) as held:
            if jobs.look(folder, bench.adapters).stage == "done":
                return 0
            turn = jobs.in_turn(folder, held) if in_turn else nullcontext()
            jobs.check_wanted(folder)
            with turn, recorded(folder):
                if not _found_again(folder, job, bench):
                    said = sys.stdout
                    with redirect_stdout(sys.stderr):
                        _train(folder, job, bench, said)
    except ApprenticeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


@contextmanager
def recorded(folder: Path) -> Iterator[None]:
    """Turn what ends a job into one sentence, and write it into the job's folder."""
    try:
        with named_errors():
            yield
    except AlreadyRunning:
        raise
    except ApprenticeError as error:
        _fail(folder, error, str(error))
        raise
    except Exception as error:  # the process's boundary: whoever looks has to hear of it
        _fail(folder, error, f"The training broke down: {error}. {folder / jobs.LOG} has it all.")
        raise


def _fail(folder: Path, error: Exception, said: str) -> None:
    facts = {"error": said, "kind": type(error).__name__, "at": time.time()}
    with suppress(OSError):  # the disk may be what is full
        jobs.write_whole(folder / jobs.FAILURE, facts)


@contextmanager
def named_errors() -> Iterator[None]:
    """Turn the errors of libraries that mean something to people into sentences."""
    try:
        yield
    except ApprenticeError:
        raise
    except Exception as error:
        if _is_disk_full(error):
            raise TrainingFailure(
                "The disk is full. Free some space and launch the job again; it goes on from its "
                "last whole checkpoint."
            ) from error
        # torch.OutOfMemoryError is a RuntimeError; the CPU's allocator has only its words.
        words = str(error).lower() if isinstance(error, RuntimeError) else ""
        if isinstance(error, MemoryError) or any(said in words for said in _NO_MEMORY):
            raise _out_of_memory() from error
        raise


def _is_disk_full(error: BaseException | None) -> bool:
    """Tell whether an error, or one behind it, says so: each library has its own class for it."""
    while error is not None:
        words = str(error).lower()
        if getattr(error, "errno", None) in _NO_ROOM or any(said in words for said in _FULL):
            return True
        error = error.__cause__ or error.__context__
    return False


def _out_of_memory() -> TrainingFailure:
    return TrainingFailure(
        "Out of memory. Halve `batch` and double `accumulate`, which learns the same; or set "
        "`checkpointing` on, lower `max_length`, or train `quantised`."
    )


def _train(folder: Path, job: Job, bench: Workbench, said: TextIO) -> None:
    (folder / jobs.FAILURE).unlink(missing_ok=True)
    dataset = job.rows()
    _check_room(folder)
    try:
        from apprentice.training.progress import Progress, peak_memory_mb
    except ImportError as error:
        raise MissingExtra("training", "Training", error) from error
    progress = Progress(folder / jobs.PROGRESS, said)
    if starts_in_vain(folder / jobs.PROGRESS) >= STARTS:
        progress.say(GIVEN_UP)
        raise TrainingFailure(
            f"The training was started {STARTS} times without coming to its next checkpoint. Most "
            "often the system kills it when memory runs out: halve `batch`, double `accumulate`, "
            "or set `checkpointing` on. Or save more often: lower `every`."
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
    adapter = concluded(folder, job, metrics, bench.adapters)
    shutil.rmtree(folder / jobs.CHECKPOINTS, ignore_errors=True)
    progress.say("finished", adapter=adapter.name, **metrics)


def _found_again(folder: Path, job: Job, bench: Workbench) -> bool:
    """Register the adapter of a job that had ended well anew, where the registry lost it.

    Where the weights are gone from the job's folder, too, nothing is left of it to go on with.
    """
    if not (folder / jobs.RESULT).is_file():
        return False
    if (folder / ADAPTER / WEIGHTS).is_file():
        metrics = json.loads((folder / jobs.RESULT).read_text())["metrics"]
        concluded(folder, job, metrics, bench.adapters)
        return True
    for left in (jobs.RESULT, jobs.PROGRESS):
        (folder / left).unlink(missing_ok=True)
    return False


def _learn(
    folder: Path, job: Job, dataset: Dataset, bench: Workbench, progress: Progress
) -> dict[str, float]:
    """Train from the last whole checkpoint, and save the adapter; return what was measured."""
    method: Any = import_module(f"apprentice.training.{job.settings.method}")
    trainer = method.trainer(job.settings, dataset, folder / jobs.CHECKPOINTS, progress, bench)
    last = last_checkpoint(folder / jobs.CHECKPOINTS)
    if last:
        progress.say("resumed", step=int(last.name.rpartition("-")[2]))
    done = trainer.train(resume_from_checkpoint=str(last) if last else None)
    shutil.rmtree(folder / ADAPTER, ignore_errors=True)
    trainer.model.save_pretrained(str(folder / ADAPTER), selected_adapters=["default"])
    if trainer.model.peft_config["default"].trainable_token_indices:
        # Tokens were added to the vocabulary, so the adapter brings its own.
        trainer.processing_class.save_pretrained(str(folder / ADAPTER))
    metrics = {"train_loss": float(done.training_loss), "steps": float(done.global_step)}
    if trainer.state.best_metric is not None:
        metrics["eval_loss"] = float(trainer.state.best_metric)
    return metrics


def concluded(folder: Path, job: Job, metrics: dict[str, float], adapters: Adapters) -> Adapter:
    """Register the adapter that a job has saved, and write down that it ended well."""
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
    """Return the last checkpoint that was written whole; remove what a crash left behind it."""
    found = sorted(
        folder.glob(CHECKPOINT), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True
    )
    for checkpoint in found:
        # The state is what is written last.
        with suppress(OSError, ValueError):
            json.loads((checkpoint / _STATE).read_text())
            return checkpoint
        shutil.rmtree(checkpoint)
    return None


def _check_room(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _FREE:
        raise TrainingFailure(
            f"Only {free >> 20} MB are free where {folder} lies; at least {_FREE >> 20} MB are "
            "needed for checkpoints. Free some space and launch the job again."
        )
