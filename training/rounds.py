"""Rounds of training: the data, the advice, the job and the end of each.

    training/<hash of tenant, environment and model>/
        datasets/        the datasets of the rounds
        0000.json        the first round
        0000.end.json    the end of the first round; a round without this file is open
        0000.lock        the run that evaluates the adapter or ends the round holds it

Every file is written once and atomically, and the first writer wins. If two runs begin a round at
the same time, the second continues the round of the first.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TextIO, TypeVar

from pydantic import Field, ValidationError

from apprentice.state.advice import Advice, Method
from apprentice.state.errors import BrokenData
from apprentice.state.gate import Decision
from apprentice.state.trajectory import SCHEMA_VERSION, FrozenModel, digest
from apprentice.training.atomic_files import write_once

FOLDER: Final = "training"
_N = TypeVar("_N", bound=FrozenModel)


class Round(FrozenModel):
    """One round of training, from its data to its end.

    Attributes:
        number: the number of the round, from 0.
        tenant: the tenant whose attempts it uses.
        environment: the environment of the attempts.
        base: plain name of the local model.
        method: the training method.
        dataset: name of the dataset's folder.
        settings: the settings of the job, without its base, method and parent.
        job: id of the job.
        adapter: the name of the adapter that the job makes.
        advice: the advice on which the round began.
        kept: other environments, in which the adapter must not be worse.
        seen: when the latest of its attempts was judged, in Unix time.
        begun: when the round began, in Unix time.
    """

    schema_version: int = SCHEMA_VERSION
    number: int = Field(ge=0)
    tenant: str
    environment: str
    base: str
    method: Method
    dataset: str
    settings: dict[str, Any] = Field(default_factory=dict)
    job: str
    adapter: str
    advice: Advice
    kept: list[str] = Field(default_factory=list)
    seen: float = 0.0
    begun: float = 0.0


class End(FrozenModel):
    """The outcome of a round, and the reason."""

    schema_version: int = SCHEMA_VERSION
    outcome: Literal["promoted", "rejected", "failed"]
    reason: str
    decisions: dict[str, Decision] = Field(default_factory=dict)
    at: float = 0.0


@dataclass(frozen=True)
class Rounds:
    """The rounds of one tenant, environment and model."""

    root: Path
    tenant: str
    environment: str
    base: str

    @property
    def folder(self) -> Path:
        """Return their folder, whose name is a hash, since not every name can be a file's name."""
        return self.root / FOLDER / digest(self.tenant, self.environment, self.base)[:16]

    @property
    def datasets(self) -> Path:
        """Return the folder of their datasets."""
        return self.folder / "datasets"

    def all(self) -> Iterator[tuple[Round, End | None]]:
        """Yield every round with its end, the oldest first."""
        for file in sorted(self.folder.glob("[0-9]*[0-9].json")):
            end = file.with_suffix(".end.json")
            yield _read(Round, file), _read(End, end) if end.is_file() else None

    def find(self, number: int) -> Round | None:
        """Return the round with a number, or None if it has not begun."""
        file = self.folder / f"{number:04}.json"
        return _read(Round, file) if file.is_file() else None

    def last(self) -> tuple[Round, End | None] | None:
        """Return the latest round and its end, or None for each that does not exist."""
        *_, last = [None, *self.all()]
        return last

    def begin(self, new_round: Round) -> Round:
        """Begin a round; return the round with its number, which another run may have begun."""
        file = self.folder / f"{new_round.number:04}.json"
        write_once(file, new_round.model_dump_json(indent=1))
        return _read(Round, file)

    def end_of(self, number: int) -> End | None:
        """Return the end of a round, or None if it is open."""
        file = self.folder / f"{number:04}.end.json"
        return _read(End, file) if file.is_file() else None

    def claim(self, number: int) -> TextIO | None:
        """Lock a round for the evaluation of its adapter; None if another run has the lock.

        The lock ends when the returned file is closed or the process dies.
        """
        file = (self.folder / f"{number:04}.lock").open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        return file

    def end(self, number: int, how: End) -> End:
        """End a round; return its end, which another run may have written first."""
        file = self.folder / f"{number:04}.end.json"
        write_once(file, how.model_dump_json(indent=1))
        return _read(End, file)


def _read(kind: type[_N], file: Path) -> _N:
    try:
        return kind.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise BrokenData(
            f"{file} cannot be read as the {kind.__name__.lower()} of a training round: {error}. "
            "Restore it from a backup, or move it away and start again."
        ) from error
