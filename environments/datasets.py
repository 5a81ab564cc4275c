"""Tasks from files, by the names that a folder of tasks gives them.

The setting APPRENTICE_TASKS names the folder. In it, the tasks of `qa/hotpot` are either
`qa/hotpot.jsonl`, each line of which may name its split, or the files of `qa/hotpot/`, one a split:
`train.jsonl`, `test.jsonl` and so on. A line without a split is of the split `train`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import Field, ValidationError

from apprentice.state.errors import BadInput, BrokenData, MissingPart, UnknownName
from apprentice.state.trajectory import FrozenModel, Name, Split, Task, digest

SETTING: Final = "APPRENTICE_TASKS"
_FAULT_LIMIT: Final = 5  # faults that a message lists
_SPLIT: Final = re.compile(r"[a-z_]{1,40}")

Text = Annotated[str, Field(min_length=1, max_length=20_000, pattern=r"\S")]


class Entry(FrozenModel):
    """A line of a file of tasks, with the fields that all kinds of tasks have.

    Attributes:
        id: the task's id; by default a hash of `identity`.
        kind: the type of the task.
        split: the split of the task, by default `train`; a file named for a split overrides it.
        metadata: data that belongs to the task; the agent never sees it.
    """

    id: Name | None = None
    kind: str = Field(default="", max_length=80)
    split: Split | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, ...]:
        """The texts that identify the task: two tasks with the same texts are the same."""
        raise NotImplementedError


E = TypeVar("E", bound=Entry)


class Dataset(Generic[E]):
    """All entries of one dataset, read at once. Only a new process sees a change of the file.

    Attributes:
        name: a name such as `qa/hotpot`.
        entries: task id -> entry.
        splits: task id -> split.

    Raises:
        MissingPart: if there are no datasets of this kind.
        UnknownName: if there is no dataset of this name.
        BrokenData: if a line cannot be read; the message names the line and the reason.
    """

    def __init__(self, root: Path | None, kind: str, name: str, form: type[E]) -> None:
        self.name = f"{kind}/{name}"
        self.entries: dict[str, E] = {}
        self.splits: dict[str, str] = {}
        faults: list[str] = []
        for file, of_split in _files(root, kind, name):
            shown = f"{self.name}/{file.name}" if of_split else f"{kind}/{file.name}"
            for number, line in enumerate(file.read_bytes().splitlines(), 1):
                fault = self._read(line, form, of_split) if line.strip() else None
                if fault:
                    faults.append(f"{shown}, line {number}: {fault.rstrip('.')}.")
        if faults:
            raise BrokenData(_fault_report(self.name, faults))
        if not self.entries:
            raise BrokenData(f"{self.name} has no tasks. Add a line for each task.")

    @property
    def split_names(self) -> tuple[str, ...]:
        """The splits that have tasks."""
        return tuple(sorted(set(self.splits.values())))

    def sample_ids(self, split: str, limit: int, seed: int) -> Iterator[str]:
        """Yield ids of a split's tasks in an order that the seed determines.

        Raises:
            UnknownName: if the dataset has no such split.
        """
        if split not in self.split_names:
            raise UnknownName(f"{self.name} split", split, self.split_names)
        ids = [task for task, its_split in self.splits.items() if its_split == split]
        yield from sorted(ids, key=lambda task: digest(seed, task))[: max(0, limit)]

    def entry(self, task_id: str) -> E:
        """Return a task's entry, or raise BadInput."""
        entry = self.entries.get(task_id)
        if entry is None:
            raise BadInput(
                f"There is no {self.name} task {task_id[:200]!r}. Ids look like "
                f"{next(iter(self.entries))!r}."
            )
        return entry

    def task(self, task_id: str, instruction: str, **metadata: Any) -> Task:
        """Return the task of an id, with additional metadata for its judges."""
        entry = self.entry(task_id)
        return Task(
            id=task_id,
            environment=self.name,
            instruction=instruction,
            kind=entry.kind,
            split=self.splits[task_id],
            metadata={**entry.metadata, **metadata},
        )

    def _read(self, line: bytes, form: type[E], of_split: str) -> str | None:
        """Add the entry of a line; return the line's fault, or None."""
        try:
            entry = form.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            return ": ".join([".".join(str(part) for part in first["loc"]) or "it", first["msg"]])
        if of_split and entry.split not in (None, of_split):
            return f"its split is {entry.split!r}, but the file's is {of_split!r}"
        task_id = entry.id or digest(*entry.identity)[:12]
        if task_id in self.entries:
            return f"the task {task_id!r} is there already"
        self.entries[task_id] = entry
        self.splits[task_id] = of_split or entry.split or "train"
        return None


def dataset_names(root: Path | None, kind: str) -> tuple[str, ...]:
    """List the datasets of a kind in a folder of tasks, such as `qa/hotpot`."""
    return tuple(f"{kind}/{name}" for name in _paths(root, kind))


def _paths(root: Path | None, kind: str) -> dict[str, Path]:
    """Return each dataset's file or folder, by its name."""
    if root is None:
        return {}
    folders = {file.parent.name: file.parent for file in Path(root, kind).glob("*/*.jsonl")}
    return {**folders, **{file.stem: file for file in sorted(Path(root, kind).glob("*.jsonl"))}}


def _files(root: Path | None, kind: str, name: str) -> list[tuple[Path, str]]:
    """Return a dataset's files, each with the split that it holds; '' where its lines say."""
    datasets = _paths(root, kind)
    if not datasets:
        raise MissingPart(
            f"There are no {kind} datasets here. Set {SETTING} to a folder that holds "
            f"{kind}/<name>.jsonl."
        )
    if name not in datasets:
        raise UnknownName(f"{kind} dataset", name, datasets)
    path = datasets[name]
    if path.is_file():
        if path.with_suffix("").is_dir():
            raise BrokenData(
                f"{kind}/{name} is a file and a folder, so it is not clear which holds its tasks. "
                "Rename one of them."
            )
        return [(path, "")]
    files = [(file, file.stem) for file in sorted(path.glob("*.jsonl"))]
    for file, split in files:
        if not _SPLIT.fullmatch(split):
            raise BrokenData(
                f"{kind}/{name}/{file.name} is named for no split: use lower-case letters and '_'."
            )
    return files


def _fault_report(name: str, faults: list[str]) -> str:
    more = len(faults) - _FAULT_LIMIT
    sentences = " ".join(faults[:_FAULT_LIMIT]) + (f" And {more} more." if more > 0 else "")
    return f"Of {name}'s lines, {len(faults)} cannot be read. {sentences} Correct or remove them."
