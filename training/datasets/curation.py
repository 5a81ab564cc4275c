"""Select the examples of a dataset: no held-out task, no duplicate, no task with too many rows.

Every example that is left out is counted under its reason. The split is by task, not by row. The
text of a task and the seed decide its side, independently of the other tasks, so a dataset that
grows keeps its split. If there are two or more tasks, each side has at least one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from apprentice.state.errors import MissingPart, OutOfBounds
from apprentice.state.trajectory import digest
from apprentice.training.datasets.card import Example, Selection
from apprentice.training.datasets.rows import Kind, to_jsonl, why_not

MINIMUM_ROWS: Final[dict[Kind, int]] = {"sft": 50, "dpo": 50, "grpo": 20, "vision": 50}
MINIMUM_TASKS: Final = 10


@dataclass(frozen=True)
class HoldOut:
    """What a dataset must not contain: tasks by key, and openings by the hash of their text."""

    tasks: frozenset[str] = frozenset()
    openings: frozenset[str] = frozenset()

    def holds(self, example: Example) -> bool:
        """Return whether an example's task, or a task with the same text, is held out."""
        return example.task in self.tasks or text_key(example.opening) in self.openings

    @classmethod
    def of(cls, tasks: Iterable[str] = (), openings: Iterable[str] = ()) -> HoldOut:
        """Hold out these tasks by key, and every task whose opening is one of these texts."""
        keys = frozenset(text_key(opening) for opening in openings)
        return cls(frozenset(tasks), keys - {text_key("")})


@dataclass(frozen=True)
class Curation:
    """The settings of a curation.

    Attributes:
        cap: the most rows that one task may have.
        share: the probability that a task goes to the held-out split; 0 for no split.
        seed: the seed of the split.
        minimum_rows: a dataset needs this many rows to train on; 0 uses the minimum of its kind.
        minimum_tasks: a dataset needs this many tasks to train on.
        stripped: whether rules, exemplars and reflections were removed from the prompts. The
            dataset's card records it under this name.
    """

    cap: int = 4
    share: float = 0.1
    seed: int = 0
    minimum_rows: int = 0
    minimum_tasks: int = MINIMUM_TASKS
    stripped: bool = True

    def __post_init__(self) -> None:
        if self.cap < 1:
            raise OutOfBounds("The cap per task", self.cap, 1, 10_000)
        if not 0 <= self.share <= 0.5:
            raise OutOfBounds("The held-out share", self.share, 0, 0.5)


def curate(
    kind: Kind,
    examples: Iterable[Example],
    settings: Curation | None = None,
    *,
    held_out: HoldOut | None = None,
    left_out: Mapping[str, int] | None = None,
    files: Mapping[str, Path] | None = None,
) -> Selection:
    """Select and split examples.

    Args:
        kind: the kind of dataset.
        examples: the examples; their order does not change the result.
        settings: the settings of the curation.
        held_out: what the dataset must not contain.
        left_out: number of examples that were left out before, by reason.
        files: the files that the rows refer to, by their name in the rows.

    Raises:
        MissingPart: too few rows or tasks remain. The message gives the numbers and the reasons.
    """
    settings = settings or Curation()
    held_out = held_out or HoldOut()
    account = Counter(left_out or {})
    candidates: list[Example] = []
    row_keys: set[str] = set()
    for example in sorted(examples, key=_order):
        reason = _refusal(kind, example, held_out, row_keys)
        if reason:
            account[reason] += 1
        else:
            candidates.append(example)
    under_cap = limit_per_task(candidates, settings.cap)
    account["over_cap"] += len(candidates) - len(under_cap)
    train, valid = _split(under_cap, settings)
    account["leak"] += len(under_cap) - len(train) - len(valid)
    filters = {reason: count for reason, count in sorted(account.items()) if count}
    _enough(kind, train, settings, filters)
    return Selection(kind, tuple(train), tuple(valid), filters, asdict(settings), files or {})


def text_key(text: str) -> str:
    """Return the hash of a text, ignoring case and spacing."""
    return digest(" ".join(text.split()).casefold())


def _order(example: Example) -> tuple[str, float, str]:
    return example.task, example.rank, digest(example.row)


def _refusal(kind: Kind, example: Example, held_out: HoldOut, row_keys: set[str]) -> str:
    """Return why an example is left out; if it is not, add its key to `row_keys` and return ''."""
    if held_out.holds(example):
        return "held_out"
    if why_not(kind, example.row):
        return "unusable"
    key = text_key(to_jsonl([example.row]))
    if key in row_keys:
        return "duplicate"
    row_keys.add(key)
    return ""


def limit_per_task(examples: Sequence[Example], cap: int) -> list[Example]:
    """Return the first `cap` examples of each task, so that no task dominates the dataset."""
    count: Counter[str] = Counter()
    within_limit = []
    for example in examples:
        count[example.task] += 1
        if count[example.task] <= cap:
            within_limit.append(example)
    return within_limit


def _split(examples: Sequence[Example], settings: Curation) -> tuple[list[Example], list[Example]]:
    """Split by task; tasks with the same opening stay on the same side.

    Every task has a fixed place between 0 and 1, and is held out if its place is below the share.
    If no task is, the one with the lowest place is held out; this one may change as the dataset
    grows.
    """
    group: dict[str, str] = {}
    for example in examples:
        group.setdefault(example.task, _opening_key(example))
    places = {key: _place(settings.seed, key) for key in group.values()}
    groups = sorted(places, key=places.__getitem__)
    below = sum(place < settings.share for place in places.values())
    aside = max(0, min(max(below, 1), len(groups) - 1)) if settings.share else 0
    valid = frozenset(groups[:aside])
    train = [example for example in examples if group[example.task] not in valid]
    train_keys = {_opening_key(example) for example in train}
    return train, [
        example
        for example in examples
        if group[example.task] in valid and _opening_key(example) not in train_keys
    ]


def _place(seed: int, key: str) -> float:
    """Return a number between 0 and 1 that depends only on the seed and the key."""
    return int(digest(seed, key)[:12], 16) / 16**12


def _opening_key(example: Example) -> str:
    return text_key(example.opening or example.task)


def _enough(
    kind: Kind, train: Sequence[Example], settings: Curation, filters: Mapping[str, int]
) -> None:
    rows, tasks = len(train), len({example.task for example in train})
    least = settings.minimum_rows or MINIMUM_ROWS[kind]
    if rows >= least and tasks >= settings.minimum_tasks:
        return
    account = ", ".join(f"{count} {reason}" for reason, count in filters.items()) or "nothing"
    raise MissingPart(
        f"A {kind} dataset needs at least {least} rows of {settings.minimum_tasks} tasks, but "
        f"there are {rows} of {tasks}. Left out: {account}. Add examples of other tasks."
    )
