"""Training jobs: the folder and the lock of a job, and the launchers that start jobs.

    jobs/<id>/  job.json         the job; the id is a hash of it
                lock             the trainer holds it while it runs
                stop             a request to stop, for a trainer that is still starting
                progress.jsonl   the trainer's events, one JSON object per line
                checkpoints/     a restarted trainer continues from here
                result.json      the result, if the job succeeded
                failure.json     the error, if the job failed
                log.txt          the output of libraries

A job's status depends only on its folder, so it is the same for every observer and after every
restart. The lock is a lock of the operating system. It ends with the process that holds it, so it
is never stale.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import signal
import subprocess
import sys
import time
from asyncio import sleep
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TextIO

from pydantic import BaseModel, ConfigDict, ValidationError

from apprentice.models.adapter_fit import base_fingerprint
from apprentice.models.names import LocalModels
from apprentice.state.errors import (
    AlreadyRunning,
    BadInput,
    BrokenData,
    TrainingFailure,
    UnknownName,
)
from apprentice.state.trajectory import digest
from apprentice.training.adapters import Adapters
from apprentice.training.atomic_files import write_over
from apprentice.training.datasets.card import Dataset, load
from apprentice.training.settings import AnySettings

Stage = Literal["waiting", "queued", "running", "interrupted", "done", "failed"]
JOB: Final = "job.json"
LOCK: Final = "lock"
PROGRESS: Final = "progress.jsonl"
CHECKPOINTS: Final = "checkpoints"
RESULT: Final = "result.json"
FAILURE: Final = "failure.json"
LOG: Final = "log.txt"
STOP: Final = "stop"
TURN: Final = "turn"
PATIENCE: Final = 120.0
"""Seconds that a job's process may take to start."""
PAUSE: Final = 0.5
"""Seconds between two looks at a job."""
_QUEUED: Final = "queued"
_INSTANT: Final = 1.0  # seconds; an observer holds the lock for less than this


class Job(BaseModel):
    """A training job.

    Attributes:
        dataset: the folder of the dataset.
        fingerprint: fingerprint of the rows.
        base_fingerprint: fingerprint of the base's weights.
        settings: the settings of the training.
        tenant: the owner of the adapter; '' for everybody.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: Path
    fingerprint: str
    base_fingerprint: str
    settings: AnySettings
    tenant: str = ""

    @classmethod
    def of(cls, dataset: Path, settings: AnySettings, models: LocalModels, tenant: str = "") -> Job:
        """Make a job for a dataset and a base with their current contents.

        Raises:
            MissingPart: the folder contains no dataset.
            UnknownName: there is no such base.
        """
        return cls(
            dataset=dataset.resolve(),
            fingerprint=load(dataset).card.fingerprint,
            base_fingerprint=base_fingerprint(models.folder(settings.base)),
            settings=settings,
            tenant=tenant,
        )

    def rows(self) -> Dataset:
        """Open the dataset.

        Raises:
            MissingPart: the dataset is no longer in its folder.
            BrokenData: it has changed since the job was made, or it is for another method.
        """
        dataset = load(self.dataset)
        if dataset.card.fingerprint != self.fingerprint:
            raise BrokenData(
                f"The dataset {self.dataset} has changed since job {self.id} was made: its "
                f"fingerprint is {dataset.card.fingerprint}, but the job expects "
                f"{self.fingerprint}. Make a new job."
            )
        if dataset.card.kind != self.settings.method:
            raise BrokenData(
                f"{self.dataset} is a dataset for {dataset.card.kind}, not {self.settings.method}. "
                "Choose another dataset or method."
            )
        return dataset

    @property
    def id(self) -> str:
        """Return the hash of the rows, the base, the settings and the tenant, without folders."""
        settings = self.settings.model_dump()
        return digest(self.fingerprint, self.base_fingerprint, settings, self.tenant)

    @property
    def adapter(self) -> str:
        """Return the name of the adapter that the job makes."""
        return f"{self.settings.base[:40]}-{self.settings.method}-{self.id[:12]}"


@dataclass(frozen=True)
class Status:
    """The status of a job.

    Attributes:
        id: the id of the job.
        stage: `waiting` (never started), `queued` (its process waits for its turn), `running`,
            `interrupted` (it was killed or its adapter is missing; launch it again), `done` or
            `failed`.
        latest: the trainer's last event.
        outcome: the result, or the failure with its `error`.
    """

    id: str
    stage: Stage
    latest: dict[str, Any]
    outcome: dict[str, Any]

    @property
    def alive(self) -> bool:
        """Return whether the job has a process."""
        return self.stage in ("queued", "running")


class Launcher(Protocol):
    """Starts jobs, for example as processes of this machine or in a cluster's queue.

    Attributes:
        patience: seconds that a job's process may take to start.
        pause: seconds between two looks at a job.
    """

    patience: float
    pause: float

    def launch(self, job: Job) -> str:
        """Start a job unless it is running or done; return its id."""

    def look(self, job_id: str) -> Status:
        """Return the status of a job, without waiting."""

    def jobs(self) -> list[str]:
        """Return the ids of all jobs."""

    def stop(self, job_id: str) -> None:
        """Stop a job's process; if launched again, it continues from its last checkpoint."""


class Spawn(Protocol):
    """Starts the process that runs a job."""

    def __call__(self, folder: Path, *options: str) -> None:
        """Start the trainer of the job in a folder."""


class LocalLauncher:
    """Starts jobs as processes of this machine, which outlive the launching process.

    Args:
        root: the folder of the jobs.
        adapters: the registry for their adapters.
        spawn: the function that starts a process for the job in a folder, with further options.
        in_turn: whether the jobs train one after the other, because a machine has room for one.
    """

    patience = PATIENCE
    pause = PAUSE

    def __init__(
        self, root: Path, adapters: Adapters, spawn: Spawn, *, in_turn: bool = False
    ) -> None:
        self.root = root
        self._adapters = adapters
        self._spawn = spawn
        self._options = ("--in-turn",) if in_turn else ()

    def launch(self, job: Job) -> str:
        """Start a job unless it is running or done; return its id."""
        folder = write_job(self.root, job)
        status = look(folder, self._adapters)
        if not status.alive and status.stage != "done":
            (folder / FAILURE).unlink(missing_ok=True)
            self._spawn(folder, *self._options)
        return job.id

    def look(self, job_id: str) -> Status:
        """Return the status of a job, without waiting."""
        return look(self._folder(job_id), self._adapters)

    def jobs(self) -> list[str]:
        """Return the ids of all jobs, the oldest first."""
        files = sorted(self.root.glob(f"*/{JOB}"), key=lambda file: file.stat().st_mtime_ns)
        return [file.parent.name for file in files]

    def stop(self, job_id: str) -> None:
        """Stop a job's process; a process that is still starting stops by itself."""
        folder = self._folder(job_id)
        (folder / STOP).touch()  # first, since a trainer checks for it once it has the lock
        if is_locked(folder) and (holder := _holder(folder)):
            os.kill(holder, signal.SIGTERM)
            (folder / STOP).unlink(missing_ok=True)

    def _folder(self, job_id: str) -> Path:
        if job_id not in (ids := self.jobs()):
            raise UnknownName("job", job_id, ids)
        return self.root / job_id


def write_job(root: Path, job: Job) -> Path:
    """Write a job, with the current folder of its dataset, and return the job's folder."""
    folder = root / job.id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STOP).unlink(missing_ok=True)
    text = job.model_dump_json(indent=2)
    if not (folder / JOB).is_file() or (folder / JOB).read_text() != text:
        write_over(folder / JOB, text)
    return folder


def read_job(folder: Path) -> Job:
    """Return the job in a folder.

    Raises:
        BadInput: the folder contains no job.
        BrokenData: the job cannot be read.
    """
    if not (folder / JOB).is_file():
        raise BadInput(
            f"The folder {folder} contains no job: {JOB} is missing. Choose a folder that a "
            "launcher wrote."
        )
    try:
        return Job.model_validate_json((folder / JOB).read_text())
    except ValidationError as error:
        raise BrokenData(
            f"{folder / JOB} cannot be read ({error.errors()[0]['msg']}). Launch the job again."
        ) from None


def look(
    folder: Path, adapters: Adapters, held_by_trainer: Callable[[Path], bool] | None = None
) -> Status:
    """Return the status of the job in a folder.

    Args:
        folder: the folder of the job.
        adapters: the registry for its adapter.
        held_by_trainer: returns whether a trainer holds the job; None checks the lock.
    """
    # Check the lock first, since a trainer writes its outcome before it releases the lock.
    lock_taken = (held_by_trainer or is_locked)(folder)
    latest = _last_line(folder / PROGRESS)
    result = _outcome(folder / RESULT)
    if result and adapters.has(str(result["adapter"])):
        return Status(folder.name, "done", latest, result)
    failure = _outcome(folder / FAILURE)
    if failure and not lock_taken:  # a trainer with the lock has started it again
        return Status(folder.name, "failed", latest, failure)
    if lock_taken:
        stage: Stage = "queued" if _QUEUED in (folder / LOCK).read_text() else "running"
    else:
        stage = "interrupted" if latest or result else "waiting"
    return Status(folder.name, stage, latest, {})


async def follow(
    look: Callable[[], Awaitable[Status]], launcher: Launcher
) -> AsyncIterator[Status]:
    """Yield the status of a launched job until it ends, is killed, or fails to start.

    Args:
        look: returns the status.
        launcher: the job's launcher, which sets how often to look and how long to wait.
    """
    began, ran = time.monotonic(), False
    while True:
        status = await look()
        yield status
        ran = ran or status.alive
        patient = status.alive or not (ran or time.monotonic() - began > launcher.patience)
        if status.stage in ("done", "failed") or not patient:
            return
        await sleep(launcher.pause)


@contextmanager
def hold_lock(folder: Path) -> Iterator[TextIO]:
    """Hold a job's lock as its only trainer; yield the lock's file, which names the process.

    Raises:
        AlreadyRunning: another process holds the lock.
    """
    with (folder / LOCK).open("a+") as file:
        _acquire(file, folder)
        _tell(file, str(os.getpid()))
        yield file


@contextmanager
def in_turn(folder: Path, lock: TextIO) -> Iterator[None]:
    """Wait until no other job in the same folder of jobs trains in turn on this machine.

    Args:
        folder: the folder of the job.
        lock: the file of its lock; while the job waits, it says that the job is queued.
    """
    # Several machines may share the folder, and each of them can train one job.
    with (folder.parent / f"{TURN}.{platform.node()}").open("a") as turn:
        _tell(lock, f"{os.getpid()} {_QUEUED}")
        fcntl.flock(turn, fcntl.LOCK_EX)
        _tell(lock, str(os.getpid()))
        yield


def check_wanted(folder: Path) -> None:
    """Check for a request to stop the job, and remove it.

    Raises:
        TrainingFailure: the job was stopped while its process was starting.
    """
    if (folder / STOP).is_file():
        (folder / STOP).unlink()
        raise TrainingFailure(f"Job {folder.name} was stopped. Launch it again to train it.")


def is_locked(folder: Path) -> bool:
    """Return whether a trainer holds the lock of a job."""
    try:
        with (folder / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def write_whole(file: Path, value: dict[str, Any]) -> None:
    """Write a JSON file atomically."""
    write_over(file, json.dumps(value, indent=2))


def _tell(lock: TextIO, holder: str) -> None:
    """Write the holder of a lock into its file."""
    lock.truncate(0)
    lock.write(holder)
    lock.flush()


def _holder(folder: Path) -> int | None:
    """Return the id of the process that holds a job's lock, or None if it is not yet written."""
    text = (folder / LOCK).read_text().partition(" ")[0]
    return int(text) if text.isdigit() else None


def _outcome(file: Path) -> dict[str, Any]:
    """Return the outcome in a file, or {} if there is none; the file is written atomically."""
    try:
        return dict(json.loads(file.read_text()))
    except FileNotFoundError:
        return {}


def _acquire(file: TextIO, folder: Path) -> None:
    deadline = time.monotonic() + _INSTANT
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            holder = _holder(folder)
            who = f"process {holder}" if holder else "another process"
            raise AlreadyRunning(
                f"Job {folder.name} is being trained by {who}. Wait for it, or stop it."
            ) from None
        return


def _last_line(file: Path) -> dict[str, Any]:
    """Return the last complete event in a file that a trainer may be writing."""
    if not file.is_file():
        return {}
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - 65_536))
        lines = stream.read().split(b"\n")[:-1]
    for line in reversed(lines):
        try:
            event = json.loads(line)
        except ValueError:
            continue  # a crash cut the line short
        if isinstance(event, dict):
            return event
    return {}


@dataclass(frozen=True)
class Processes:
    """Starts a trainer as a separate process that nothing here has to wait for.

    An intermediate shell starts the trainer and ends at once, so the trainer is not a child of this
    process. It outlives a restart of the server and leaves no zombie.

    Attributes:
        variables: returns the environment variables of a trainer, with the workspace's folders.
    """

    variables: Callable[[], Mapping[str, str]]

    def __call__(self, folder: Path, *options: str) -> None:
        """Start the trainer of the job in a folder."""
        variables = self.variables()
        paths = [str(Path(__file__).parents[2]), *filter(None, [variables.get("PYTHONPATH")])]
        script = '"$@" </dev/null >/dev/null 2>>"$0" &'
        log = str((folder / LOG).resolve())
        command = [sys.executable, "-m", "apprentice.training", str(folder.resolve()), *options]
        subprocess.run(  # noqa: S603 - the command is this project's own
            ["/bin/sh", "-c", script, log, *command],
            env={**variables, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,
            check=True,
        )
