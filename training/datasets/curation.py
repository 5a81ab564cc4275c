"""From examples to what is trained on: nothing held out, nothing twice, no task too often.

Every example that is left out is counted under its reason. The split is by task, never by row. On
which side a task lies follows from what it says and the seed, not from the other tasks, so that a
dataset that grows keeps its split; but of two or more one is held out, and one is not, at least.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from apprentice.state.errors import MissingPart, OutOfBounds
from apprentice.state.nouns import digest
from apprentice.training.datasets.card import Curated, Example
from apprentice.training.datasets.rows import Kind, why_not, written

MINIMUM_ROWS: Final[dict[Kind, int]] = {"sft": 50, "dpo": 50, "grpo": 20, "vision": 50}
MINIMUM_TASKS: Final = 10


@dataclass(frozen=True)
class HeldOut:
    """What must not be trained on: tasks by key, and openings by what they say."""

    tasks: frozenset[str] = frozenset()
    openings: frozenset[str] = frozenset()

    def holds(self, example: Example) -> bool:
        """Whether an example's task, or one that says the same, is held out."""
        return example.task in self.tasks or normalised(example.opening) in self.openings

    @classmethod
    def of(cls, tasks: Iterable[str] = (), openings: Iterable[str] = ()) -> HeldOut:
        """Hold out tasks by key, and every task that opens with one of these texts."""
        said = frozenset(normalised(opening) for opening in openings)
        return cls(frozenset(tasks), said - {normalised("")})


@dataclass(frozen=True)
class Curation:
    """How examples become a dataset.

    Attributes:
        cap: rows that one task may have.
        share: the chance that a task becomes part of the held-out split; 0 for none.
        seed: fixes which.
        minimum_rows: fewer rows to train on are refused; 0 takes the kind's own minimum.
        minimum_tasks: fewer tasks to train on are refused.
        stripped: whether what was in view has been taken out of the prompts; for the card.
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
    held_out: HeldOut | None = None,
    left_out: Mapping[str, int] | None = None,
    files: Mapping[str, Path] | None = None,
) -> Curated:
    """Choose and split examples.

    Args:
        kind: of dataset.
        examples: in any order; the order of the result does not depend on it.
        settings: how to choose.
        held_out: what must not be trained on.
        left_out: what was left out before, by reason, for the account.
        files: that the rows refer to, each under its name there.

    Raises:
        MissingPart: too little is left; says how much there is and where the rest went.
    """
    settings = settings or Curation()
    held_out = held_out or HeldOut()
    account = Counter(left_out or {})
    kept: list[Example] = []
    seen: set[str] = set()
    for example in sorted(examples, key=_order):
        reason = _refused(kind, example, held_out, seen)
        if reason:
            account[reason] += 1
        else:
            kept.append(example)
    within = capped(kept, settings.cap)
    account["over_cap"] += len(kept) - len(within)
    train, valid = _split(within, settings)
    account["leak"] += len(within) - len(train) - len(valid)
    filters = {reason: count for reason, count in sorted(account.items()) if count}
    _enough(kind, train, settings, filters)
    return Curated(kind, tuple(train), tuple(valid), filters, asdict(settings), files or {})


def normalised(text: str) -> str:
    """Return what a text says, without case and spacing, as a hash."""
    return digest(" ".join(text.split()).casefold())


def _order(example: Example) -> tuple[str, float, str]:
    return example.task, example.rank, digest(example.row)


def _refused(kind: Kind, example: Example, held_out: HeldOut, seen: set[str]) -> str:
    """Say why an example is left out; '' when it is kept, and then it is seen."""
    if held_out.holds(example):
        return "held_out"
    if why_not(kind, example.row):
        return "unusable"
    same = normalised(written([example.row]))
    if same in seen:
        return "duplicate"
    seen.add(same)
    return ""


def capped(examples: Sequence[Example], cap: int) -> list[Example]:
    """Return the first examples of each task, so that easy tasks do not drown the rest."""
    count: Counter[str] = Counter()
    kept = []
    for example in examples:
        count[example.task] += 1
        if count[example.task] <= cap:
            kept.append(example)
    return kept


def _split(examples: Sequence[Example], settings: Curation) -> tuple[list[Example], list[Example]]:
    """Split by task; tasks that open the same way stay together.

    A task is held out where its place, drawn between 0 and 1, lies below the share. Only while none
    does is the lowest held out instead, which may be another one as the dataset grows.
    """
    group: dict[str, str] = {}
    for example in examples:
        group.setdefault(example.task, _said(example))
    places = {said: _place(settings.seed, said) for said in group.values()}
    groups = sorted(places, key=places.__getitem__)
    below = sum(place < settings.share for place in places.values())
    aside = max(0, min(max(below, 1), len(groups) - 1)) if settings.share else 0
    valid = frozenset(groups[:aside])
    train = [example for example in examples if group[example.task] not in valid]
    told = {_said(example) for example in train}
    return train, [
        example
        for example in examples
        if group[example.task] in valid and _said(example) not in told
    ]


def _place(seed: int, said: str) -> float:
    """Draw a place between 0 and 1."""
    return int(digest(seed, said)[:12], 16) / 16**12


def _said(example: Example) -> str:
    return normalised(example.opening or example.task)


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
        f"there are {rows} of {tasks}. Left out: {account}. Record more attempts at other tasks."
    )
