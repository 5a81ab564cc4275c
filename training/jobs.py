"""Training jobs: a folder each, a lock that the trainer holds, and who starts them.

    jobs/<id>/  job.json         what is to be done; the id is the hash of it
                lock             held by the trainer for as long as it lives
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
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TextIO

from pydantic import BaseModel, ConfigDict, ValidationError

from models.fit import base_fingerprint
from state.errors import AlreadyRunning, BadInput, BrokenData, UnknownName
from state.nouns import digest
from training.datasets.card import Dataset, load
from training.settings import AnySettings

Stage = Literal["waiting", "running", "interrupted", "done", "failed"]
JOB: Final = "job.json"
LOCK: Final = "lock"
PROGRESS: Final = "progress.jsonl"
CHECKPOINTS: Final = "checkpoints"
RESULT: Final = "result.json"
FAILURE: Final = "failure.json"
LOG: Final = "log.txt"
_PATIENCE: Final = 1.0  # seconds: whoever looks holds the lock for an instant


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
    def of(cls, dataset: Path, settings: AnySettings, tenant: str = "") -> Job:
        """Make the job of a dataset, as it is now, and settings.

        Raises:
            MissingPart: there is no dataset in that folder.
            UnknownName: the base is not offered here.
        """
        return cls(
            dataset=dataset.resolve(),
            fingerprint=load(dataset).card.fingerprint,
            base_fingerprint=base_fingerprint(settings.base),
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
        stage: waiting (never begun), running, interrupted (to be launched again), done, failed.
        latest: the last thing the trainer said of its progress.
        outcome: the result, or the failure with its `error`.
    """

    id: str
    stage: Stage
    latest: dict[str, Any]
    outcome: dict[str, Any]


class Launcher(Protocol):
    """Who starts jobs: a process here, or elsewhere a cluster's queue."""

    def launch(self, job: Job) -> str:
        """Start a job, unless it runs or has ended well; return its id. Twice is once."""

    def look(self, job_id: str) -> Status:
        """Say what a job is at, without waiting."""

    def jobs(self) -> list[str]:
        """Name the jobs there are."""

    def stop(self, job_id: str) -> None:
        """End a job's process; launching the job again goes on from its last checkpoint."""


class LocalLauncher:
    """Jobs as processes of this machine, which outlive the one that launches them.

    Args:
        root: the folder of the jobs.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def launch(self, job: Job) -> str:
        """Start a job, unless it runs or has ended well; return its id."""
        folder = write_job(self.root, job)
        if look(folder).stage not in ("running", "done"):
            (folder / FAILURE).unlink(missing_ok=True)
            _spawn(folder)
        return job.id

    def look(self, job_id: str) -> Status:
        """Say what a job is at, without waiting."""
        return look(self._folder(job_id))

    def jobs(self) -> list[str]:
        """Name the jobs there are, the oldest first."""
        files = sorted(self.root.glob(f"*/{JOB}"), key=lambda file: file.stat().st_mtime_ns)
        return [file.parent.name for file in files]

    def stop(self, job_id: str) -> None:
        """End a job's process."""
        folder = self._folder(job_id)
        if locked(folder):
            holder = (folder / LOCK).read_text().strip()
            if holder.isdigit():
                os.kill(int(holder), signal.SIGTERM)

    def _folder(self, job_id: str) -> Path:
        if job_id not in (known := self.jobs()):
            raise UnknownName("job", job_id, known)
        return self.root / job_id


def jobs_root() -> Path:
    """Return the folder of this server's jobs."""
    return Path(os.environ.get("APPRENTICE_DATA", "apprentice-data")) / "jobs"


def write_job(root: Path, job: Job) -> Path:
    """Write down what is to be done; return the job's folder."""
    folder = root / job.id
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / JOB).is_file():
        write_whole(folder / JOB, job.model_dump(mode="json"))
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


def look(folder: Path) -> Status:
    """Say what the job in a folder is at."""
    latest = _last_line(folder / PROGRESS)
    for name, stage in ((RESULT, "done"), (FAILURE, "failed")):
        if (folder / name).is_file():
            outcome = json.loads((folder / name).read_text())
            return Status(folder.name, stage, latest, outcome)  # type: ignore[arg-type]
    if locked(folder):
        return Status(folder.name, "running", latest, {})
    return Status(folder.name, "interrupted" if latest else "waiting", latest, {})


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Hold a job's lock, as its only trainer.

    Raises:
        AlreadyRunning: another process holds it.
    """
    with (folder / LOCK).open("a+") as file:
        _acquire(file, folder)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


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
    draft = file.with_suffix(f".{os.getpid()}.new")
    draft.write_text(json.dumps(value, indent=2))
    draft.replace(file)


def _acquire(file: TextIO, folder: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            holder = (folder / LOCK).read_text().strip() or "another process"
            raise AlreadyRunning(
                f"Job {folder.name} is being trained by process {holder}. Wait for it, or stop it."
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


def _spawn(folder: Path) -> None:
    """Start the trainer as a process of its own, that no one here has to wait for.

    The shell between ends at once, so the trainer belongs to nobody in this process: it outlives
    a restart of the server and leaves no zombie.
    """
    project = str(Path(__file__).parents[1])
    paths = [project, *filter(None, [os.environ.get("PYTHONPATH")])]
    script = '"$@" </dev/null >/dev/null 2>>"$0" &'
    log = str((folder / LOG).resolve())
    command = [sys.executable, "-m", "training", str(folder.resolve())]
    subprocess.run(  # noqa: S603 - the command is this project's own
        ["/bin/sh", "-c", script, log, *command],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        start_new_session=True,
        check=True,
    )
