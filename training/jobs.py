"""Training jobs: a folder each, a lock that the trainer holds, and who starts them.

    jobs/<id>/  job.json         what is to be done; the id is the hash of it
                lock             held by the trainer for as long as it lives
                stop             left by who wants it stopped, for a trainer that is only starting
                progress.jsonl   what it says, a JSON object a line
                checkpoints/     where it goes on after a crash
                result.json      how it ended well, or failure.json: how it did not
                log.txt          what libraries say

What a job is at is read from its folder alone, so whoever looks, after any restart, sees the same.
The lock is the operating system's: it ends with the process that holds it and cannot be stale.
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

from apprentice.models.fit import base_fingerprint
from apprentice.models.names import LocalModels
from apprentice.state.errors import (
    AlreadyRunning,
    BadInput,
    BrokenData,
    TrainingFailure,
    UnknownName,
)
from apprentice.state.nouns import digest
from apprentice.training.adapters import Adapters
from apprentice.training.datasets.card import Dataset, load
from apprentice.training.settings import AnySettings
from apprentice.training.whole import write_over

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
"""Seconds that a job's process may take to begin."""
PAUSE: Final = 0.5
"""Seconds between two looks at a job."""
_QUEUED: Final = "queued"
_INSTANT: Final = 1.0  # seconds: whoever looks holds the lock for less


class Job(BaseModel):
    """What is to be done: which rows, on which base, with which settings, and for whom.

    Attributes:
        tenant: whose adapter it makes; '' for everybody's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: Path
    fingerprint: str
    base_fingerprint: str
    settings: AnySettings
    tenant: str = ""

    @classmethod
    def of(cls, dataset: Path, settings: AnySettings, models: LocalModels, tenant: str = "") -> Job:
        """Make the job of a dataset and a base, as they are now, and settings.

        Raises:
            MissingPart: there is no dataset in that folder.
            UnknownName: the base is not offered here.
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
            MissingPart: it is no longer where it was.
            BrokenData: it was changed since the job was made, or is for another method.
        """
        found = load(self.dataset)
        if found.card.fingerprint != self.fingerprint:
            raise BrokenData(
                f"{self.dataset} was replaced since job {self.id} was made: its fingerprint is "
                f"{found.card.fingerprint}, and {self.fingerprint} was expected. Make a new job."
            )
        if found.card.kind != self.settings.method:
            raise BrokenData(
                f"{self.dataset} is a dataset for {found.card.kind}, not {self.settings.method}."
            )
        return found

    @property
    def id(self) -> str:
        """Return the hash of the rows, the base, the settings and whose it is; not of where."""
        told = self.settings.model_dump()
        return digest(self.fingerprint, self.base_fingerprint, told, self.tenant)

    @property
    def adapter(self) -> str:
        """Return the name that its adapter will have."""
        return f"{self.settings.base[:40]}-{self.settings.method}-{self.id[:12]}"


@dataclass(frozen=True)
class Status:
    """What a job is at.

    Attributes:
        stage: waiting (never begun), queued (its process waits for its turn), running, interrupted
            (to be launched again: killed, or its adapter is gone), done, failed.
        latest: the last thing the trainer said of its progress.
        outcome: the result, or the failure with its `error`.
    """

    id: str
    stage: Stage
    latest: dict[str, Any]
    outcome: dict[str, Any]

    @property
    def alive(self) -> bool:
        """Whether a process is at it."""
        return self.stage in ("queued", "running")


class Launcher(Protocol):
    """Who starts jobs: a process here, or elsewhere a cluster's queue.

    Attributes:
        patience: seconds that a job may take to begin.
        pause: seconds between two looks of whoever follows a job.
    """

    patience: float
    pause: float

    def launch(self, job: Job) -> str:
        """Start a job, unless it runs or has ended well; return its id. Twice is once."""

    def look(self, job_id: str) -> Status:
        """Say what a job is at, without waiting."""

    def jobs(self) -> list[str]:
        """Name the jobs there are."""

    def stop(self, job_id: str) -> None:
        """End a job's process; launching the job again goes on from its last checkpoint."""


class Spawn(Protocol):
    """Starts the process that carries out a job."""

    def __call__(self, folder: Path, *options: str) -> None:
        """Start the trainer of the job in a folder."""


class LocalLauncher:
    """Jobs as processes of this machine, which outlive the one that launches them.

    Args:
        root: the folder of the jobs.
        adapters: the registry that their adapters go to.
        spawn: starts the process that carries out the job in a folder, with further options.
        in_turn: whether its jobs train one after the other, as a machine has room for one.
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
        """Start a job, unless it runs or has ended well; return its id."""
        folder = write_job(self.root, job)
        status = look(folder, self._adapters)
        if not status.alive and status.stage != "done":
            (folder / FAILURE).unlink(missing_ok=True)
            self._spawn(folder, *self._options)
        return job.id

    def look(self, job_id: str) -> Status:
        """Say what a job is at, without waiting."""
        return look(self._folder(job_id), self._adapters)

    def jobs(self) -> list[str]:
        """Name the jobs there are, the oldest first."""
        files = sorted(self.root.glob(f"*/{JOB}"), key=lambda file: file.stat().st_mtime_ns)
        return [file.parent.name for file in files]

    def stop(self, job_id: str) -> None:
        """End a job's process; one that is only starting ends by itself."""
        folder = self._folder(job_id)
        (folder / STOP).touch()  # first, since a trainer looks for it when it has the lock
        if locked(folder) and (holder := _holder(folder)):
            os.kill(holder, signal.SIGTERM)
            (folder / STOP).unlink(missing_ok=True)

    def _folder(self, job_id: str) -> Path:
        if job_id not in (known := self.jobs()):
            raise UnknownName("job", job_id, known)
        return self.root / job_id


def write_job(root: Path, job: Job) -> Path:
    """Write down what is to be done, and where its dataset is now; return the job's folder."""
    folder = root / job.id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STOP).unlink(missing_ok=True)
    told = job.model_dump_json(indent=2)
    if not (folder / JOB).is_file() or (folder / JOB).read_text() != told:
        write_over(folder / JOB, told)
    return folder


def read_job(folder: Path) -> Job:
    """Return what a job's folder says is to be done.

    Raises:
        BadInput: it is no job's folder.
        BrokenData: what it says cannot be read.
    """
    if not (folder / JOB).is_file():
        raise BadInput(f"{folder} is no job: it has no {JOB}.")
    try:
        return Job.model_validate_json((folder / JOB).read_text())
    except ValidationError as error:
        raise BrokenData(
            f"{folder / JOB} cannot be read ({error.errors()[0]['msg']}). Launch the job anew."
        ) from None


def look(
    folder: Path, adapters: Adapters, held_by_trainer: Callable[[Path], bool] | None = None
) -> Status:
    """Say what the job in a folder is at.

    Args:
        folder: the job's.
        adapters: the registry that its adapter goes to.
        held_by_trainer: tells whether a trainer is at the job; by the lock when None.
    """
    # First, since a trainer writes how it ended before it lets go.
    held = (held_by_trainer or locked)(folder)
    latest = _last_line(folder / PROGRESS)
    result = _outcome(folder / RESULT)
    if result and adapters.registered(str(result["adapter"])):
        return Status(folder.name, "done", latest, result)
    failure = _outcome(folder / FAILURE)
    if failure and not held:  # who holds it has taken it up again
        return Status(folder.name, "failed", latest, failure)
    if held:
        stage: Stage = "queued" if _QUEUED in (folder / LOCK).read_text() else "running"
    else:
        stage = "interrupted" if latest or result else "waiting"
    return Status(folder.name, stage, latest, {})


async def followed(
    look: Callable[[], Awaitable[Status]], launcher: Launcher
) -> AsyncIterator[Status]:
    """Yield what a job that was launched is at, until it ends, was killed, or never began.

    Args:
        look: says what it is at.
        launcher: who launched it; says how often to look, and how long to wait.
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
def holding(folder: Path) -> Iterator[TextIO]:
    """Hold a job's lock, as its only trainer; yields the file that says who does.

    Raises:
        AlreadyRunning: another process holds it.
    """
    with (folder / LOCK).open("a+") as file:
        _acquire(file, folder)
        _tell(file, str(os.getpid()))
        yield file


@contextmanager
def in_turn(folder: Path, held: TextIO) -> Iterator[None]:
    """Wait until no other job of the same folder of jobs trains in turn on this machine.

    Args:
        folder: the job's.
        held: its lock, which says meanwhile that it is queued.
    """
    # Machines may share the folder, and each has room of its own.
    with (folder.parent / f"{TURN}.{platform.node()}").open("a") as turn:
        _tell(held, f"{os.getpid()} {_QUEUED}")
        fcntl.flock(turn, fcntl.LOCK_EX)
        _tell(held, str(os.getpid()))
        yield


def check_wanted(folder: Path) -> None:
    """Heed, once, who stopped a job whose process was only starting.

    Raises:
        TrainingFailure: it was stopped.
    """
    if (folder / STOP).is_file():
        (folder / STOP).unlink()
        raise TrainingFailure(f"Job {folder.name} was stopped. Launch it again to train it.")


def locked(folder: Path) -> bool:
    """Tell whether a trainer is at a job."""
    try:
        with (folder / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def write_whole(file: Path, value: dict[str, Any]) -> None:
    """Write JSON so that a reader sees all of it or none."""
    write_over(file, json.dumps(value, indent=2))


def _tell(held: TextIO, holder: str) -> None:
    """Say in a lock's file who holds it."""
    held.truncate(0)
    held.write(holder)
    held.flush()


def _holder(folder: Path) -> int | None:
    """Return the process that holds a job's lock, if it has said so yet."""
    said = (folder / LOCK).read_text().partition(" ")[0]
    return int(said) if said.isdigit() else None


def _outcome(file: Path) -> dict[str, Any]:
    """Return how a job ended, if that is there; both files are written whole."""
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
    """Return the last whole line of a file that may be written at this moment."""
    if not file.is_file():
        return {}
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - 65_536))
        lines = stream.read().split(b"\n")[:-1]
    for line in reversed(lines):
        try:
            found = json.loads(line)
        except ValueError:
            continue  # cut by a crash
        if isinstance(found, dict):
            return found
    return {}


@dataclass(frozen=True)
class Processes:
    """Starts a trainer as a process of its own, that no one here has to wait for.

    The shell between ends at once, so the trainer belongs to nobody in this process: it outlives
    a restart of the server and leaves no zombie.

    Attributes:
        variables: returns the environment that a trainer gets, the workspace's folders in it.
    """

    variables: Callable[[], Mapping[str, str]]

    def __call__(self, folder: Path, *options: str) -> None:
        """Start the trainer of the job in a folder."""
        told = self.variables()
        paths = [str(Path(__file__).parents[2]), *filter(None, [told.get("PYTHONPATH")])]
        script = '"$@" </dev/null >/dev/null 2>>"$0" &'
        log = str((folder / LOG).resolve())
        command = [sys.executable, "-m", "apprentice.training", str(folder.resolve()), *options]
        subprocess.run(  # noqa: S603 - the command is this project's own
            ["/bin/sh", "-c", script, log, *command],
            env={**told, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,
            check=True,
        )
