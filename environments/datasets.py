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
from apprentice.state.nouns import Name, Noun, Split, Task, digest

SETTING: Final = "APPRENTICE_TASKS"
_TOLD: Final = 5  # faults that a message lists
_SPLIT: Final = re.compile(r"[a-z_]{1,40}")

Text = Annotated[str, Field(min_length=1, max_length=20_000, pattern=r"\S")]


class Entry(Noun):
    """A line of a file of tasks: what every kind of task has.

    Attributes:
        id: the task's id; derived from what is asked when left out.
        kind: the type of task.
        split: where the file is not named for one; `train` when left out.
        metadata: kept with the task, and never shown to the agent.
    """

    id: Name | None = None
    kind: str = Field(default="", max_length=80)
    split: Split | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes two tasks the same."""
        raise NotImplementedError


E = TypeVar("E", bound=Entry)


class Dataset(Generic[E]):
    """The entries of one dataset, read whole; a file that changes is read again by a new process.

    Attributes:
        name: such as `qa/hotpot`.
        entries: by task id.
        splits: the split of every entry, by task id.

    Raises:
        MissingPart: if no datasets of this kind are offered.
        UnknownName: if this one is not.
        BrokenData: if a line cannot be read; tells which, and why.
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
            raise BrokenData(_told(self.name, faults))
        if not self.entries:
            raise BrokenData(f"{self.name} holds no tasks. Add a line for each.")

    @property
    def split_names(self) -> tuple[str, ...]:
        """The splits that have tasks."""
        return tuple(sorted(set(self.splits.values())))

    def drawn(self, split: str, limit: int, seed: int) -> Iterator[str]:
        """Yield ids of a split's tasks, in an order drawn by the seed.

        Raises:
            UnknownName: if no task is of that split.
        """
        if split not in self.split_names:
            raise UnknownName(f"{self.name} split", split, self.split_names)
        ids = [task for task, its_split in self.splits.items() if its_split == split]
        yield from sorted(ids, key=lambda task: digest(seed, task))[: max(0, limit)]

    def entry(self, task_id: str) -> E:
        """Return a task's entry, or raise BadInput."""
        found = self.entries.get(task_id)
        if found is None:
            raise BadInput(
                f"There is no {self.name} task {task_id[:200]!r}. Ids look like "
                f"{next(iter(self.entries))!r}."
            )
        return found

    def task(self, task_id: str, instruction: str, **metadata: Any) -> Task:
        """Return the task of an id, with what else its judges need to know."""
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
        """Take a line in; return what is wrong with it, if anything."""
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


def offered(root: Path | None, kind: str) -> tuple[str, ...]:
    """List the datasets of a kind in a folder of tasks, such as `qa/hotpot`."""
    return tuple(f"{kind}/{name}" for name in _offered(root, kind))


def _offered(root: Path | None, kind: str) -> dict[str, Path]:
    """Return each dataset's file or folder, by its name."""
    if root is None:
        return {}
    folders = {file.parent.name: file.parent for file in Path(root, kind).glob("*/*.jsonl")}
    return {**folders, **{file.stem: file for file in sorted(Path(root, kind).glob("*.jsonl"))}}


def _files(root: Path | None, kind: str, name: str) -> list[tuple[Path, str]]:
    """Return a dataset's files, each with the split that it holds; '' where its lines say."""
    datasets = _offered(root, kind)
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


def _told(name: str, faults: list[str]) -> str:
    more = len(faults) - _TOLD
    told = " ".join(faults[:_TOLD]) + (f" And {more} more." if more > 0 else "")
    return f"Of {name}'s lines, {len(faults)} cannot be read. {told} Correct or remove them."
