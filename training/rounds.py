"""Rounds of training: what was begun with which data and why, and how it ended.

    training/<tenant, environment and model>/
        datasets/        what was curated
        0000.json        the first round
        0000.end.json    how it ended; a round without an end is the one to go on with
        0000.lock        held by the run that tries its adapter out, or has the last word

A file is written once and whole, and the first to write it is believed: of two that begin a round
at once, the second goes on with what the first has begun.
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
from apprentice.state.nouns import SCHEMA_VERSION, Noun, digest
from apprentice.training.whole import write_once

FOLDER: Final = "training"
_N = TypeVar("_N", bound=Noun)


class Round(Noun):
    """One training, from its data to its verdict.

    Attributes:
        number: of the round, from 0.
        base: plain name of the local model.
        dataset: name of the dataset's folder.
        settings: what the job is told beside its base, method and parent.
        job: id of the job.
        adapter: the name that the job will give its adapter.
        advice: why it was begun.
        kept: other environments, in which the adapter must not be worse.
        seen: when the latest of the attempts that it rests on was judged, in Unix time.
        begun: Unix time in seconds.
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


class End(Noun):
    """How a round ended, and why."""

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
        """Where they are kept; names that no file could have are hashed."""
        return self.root / FOLDER / digest(self.tenant, self.environment, self.base)[:16]

    @property
    def datasets(self) -> Path:
        """Where their datasets are kept."""
        return self.folder / "datasets"

    def all(self) -> Iterator[tuple[Round, End | None]]:
        """Yield every round with its end, the oldest first."""
        for file in sorted(self.folder.glob("[0-9]*[0-9].json")):
            end = file.with_suffix(".end.json")
            yield _read(Round, file), _read(End, end) if end.is_file() else None

    def find(self, number: int) -> Round | None:
        """Return the round of a number, if it is begun."""
        file = self.folder / f"{number:04}.json"
        return _read(Round, file) if file.is_file() else None

    def last(self) -> tuple[Round, End | None] | None:
        """Return the latest round, and its end if it has one."""
        *_, last = [None, *self.all()]
        return last

    def begin(self, new_round: Round) -> Round:
        """Begin a round; return the one that was begun under its number, perhaps by another."""
        file = self.folder / f"{new_round.number:04}.json"
        write_once(file, new_round.model_dump_json(indent=1))
        return _read(Round, file)

    def end_of(self, number: int) -> End | None:
        """Return how a round ended, if it has."""
        file = self.folder / f"{number:04}.end.json"
        return _read(End, file) if file.is_file() else None

    def claim(self, number: int) -> TextIO | None:
        """Claim a round, to try its adapter out alone; None where another has, anywhere.

        The claim ends when the file is closed, or its process dies.
        """
        file = (self.folder / f"{number:04}.lock").open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        return file

    def end(self, number: int, how: End) -> End:
        """End a round; return how it ended, perhaps as another said."""
        file = self.folder / f"{number:04}.end.json"
        write_once(file, how.model_dump_json(indent=1))
        return _read(End, file)


def _read(kind: type[_N], file: Path) -> _N:
    try:
        return kind.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise BrokenData(
            f"{file} cannot be read as a {kind.__name__.lower()} of training: {error}. Restore it "
            "from a backup, or move it away to begin anew."
        ) from error
