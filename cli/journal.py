"""The journal of an evaluation: one line for the plan, then one line for each finished task.

The line is written when the task is finished, so an interrupted run keeps its results. A process
that is killed may leave half a line at the end, which is dropped.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar
from uuid import uuid4

from pydantic import ConfigDict, Field, ValidationError

from apprentice.state.context import Context
from apprentice.state.errors import BadInput, BrokenData
from apprentice.state.reflexion import ReflexionOutcome
from apprentice.state.trajectory import (
    SCHEMA_VERSION,
    FrozenModel,
    Reflection,
    Task,
    Trajectory,
    Usage,
)

_N = TypeVar("_N", bound=FrozenModel)


class Plan(FrozenModel):
    """What is evaluated. The order of the tasks is fixed, so a larger limit extends a run.

    Attributes:
        tenant: whose memory is read and written; '' for none. Stored as `memory`.
        donors: the evaluation that lends its reflections.
        run: an id that is made with the journal; the same plan in another file is another run.
        exemplars: solved training tasks that are recorded first. Stored as `successes`.
        rules: shown to every attempt in place of the released ones.
        draw: plans that differ only in this have the same tasks and other random numbers.
    """

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    schema_version: int = SCHEMA_VERSION
    environment: str
    split: str
    technique: str
    model: str
    adapter: str = ""
    trials: int
    temperature: float
    seed: int = 0
    limit: int
    tenant: str = Field(default="", alias="memory")
    training: int = 0
    donors: str = ""
    max_tokens: int = Context.max_tokens
    window: int = Context.window
    run: str = ""
    exemplars: int = Field(default=0, alias="successes")
    rules: tuple[str, ...] = ()
    draw: int = 0


class TaskResult(FrozenModel):
    """One task with all attempts at it.

    Attributes:
        reflection_usage: what writing the reflections cost. Stored as `reflecting`.
    """

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    task: Task
    outcome: ReflexionOutcome
    attempts: tuple[Trajectory, ...] = ()
    reflections: tuple[Reflection, ...] = ()
    reflection_usage: Usage = Field(default=Usage(), alias="reflecting")

    @property
    def solved_at(self) -> int | None:
        """The trial that solved the task; 0 for an earlier run, None for no trial."""
        if self.outcome == "solved_before":
            return 0
        return next((each.trial for each in self.attempts if each.verdict.success), None)


class Journal:
    """An open journal: its plan and results. Only one process writes it at a time."""

    def __init__(
        self, path: Path, plan: Plan, file: BinaryIO, results: dict[str, TaskResult]
    ) -> None:
        self.path = path
        self.plan = plan
        self.results = results
        self._file = file

    def add(self, result: TaskResult) -> None:
        """Write a result to the file."""
        _write(self._file, result)
        self.results[result.task.id] = result


@contextmanager
def open_journal(path: Path, plan: Plan) -> Iterator[Journal]:
    """Open a plan's journal, or create it.

    A journal without results is removed at the end. If the plan has a tenant it stays, because the
    tenant's memory may already have attempts of this run.

    Raises:
        BadInput: the file has another plan, another process writes it, or its folder is not
            writable.
        BrokenData: the file is not a journal.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written ({error.strerror}). Name another file."
        ) from error
    with file:
        _lock(file, path)
        lines = _whole_lines(file)
        if not lines:
            new_plan = plan.model_copy(update={"run": uuid4().hex})
            _write(file, new_plan)
            lines = [new_plan.model_dump_json().encode()]
        stored_plan, results = _parse(path, lines)
        _compare(path, stored_plan, plan)
        plan = stored_plan.model_copy(update={"limit": plan.limit})
        record = Journal(path, plan, file, {each.task.id: each for each in results})
        try:
            yield record
        finally:
            if not record.results and not plan.tenant:
                path.unlink()


def read(path: Path) -> tuple[Plan, list[TaskResult]]:
    """Read a journal; `path` may also name the JSON file beside it.

    Raises:
        BadInput: the file cannot be read.
        BrokenData: the file is not a journal.
    """
    path = path.with_suffix(".jsonl")
    try:
        with path.open("rb") as file:
            lines = _whole_lines(file)
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read ({error.strerror}). Name the file that "
            "`apprentice evaluate --json FILE` wrote."
        ) from error
    if not lines:
        raise BrokenData(f"{path} is empty. Name another file.")
    return _parse(path, lines)


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise BadInput(
            f"Another run is writing {path}. Wait for it, or name another file."
        ) from error


def _write(file: BinaryIO, noun: FrozenModel) -> None:
    file.write(noun.model_dump_json().encode() + b"\n")
    file.flush()


def _whole_lines(file: BinaryIO) -> list[bytes]:
    """Return the complete lines; remove half a line at the end of a writable file."""
    file.seek(0)
    content = file.read()
    whole = content[: content.rfind(b"\n") + 1]
    if file.writable() and whole != content:
        file.truncate(len(whole))
    return whole.splitlines()


def _parse(path: Path, lines: Sequence[bytes]) -> tuple[Plan, list[TaskResult]]:
    results = [_line(path, number, line, TaskResult) for number, line in enumerate(lines[1:], 2)]
    return _line(path, 1, lines[0], Plan), results


def _line(path: Path, number: int, line: bytes, kind: type[_N]) -> _N:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        raise BrokenData(
            f"Line {number} of {path} is not a line of a journal ({first['msg']}). "
            "Name another file, or remove that line."
        ) from error


def _compare(path: Path, stored: Plan, plan: Plan) -> None:
    requested = plan.model_dump(exclude={"limit", "run"}, by_alias=False)
    for name, value in stored.model_dump(exclude={"limit", "run"}, by_alias=False).items():
        if value != requested[name]:
            raise BadInput(
                f"{path} has another evaluation: its {name} is {value!r}, not "
                f"{requested[name]!r}. "
                "Name another file, or repeat the command that wrote it."
            )
