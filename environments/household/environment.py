"""The household as an environment: it makes tasks from ids and games from tasks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from apprentice.environments.household.game import Game
from apprentice.environments.household.rooms import SIZES, SPLITS, family_of, generate
from apprentice.environments.household.world import world
from apprentice.state.errors import BadInput, OutOfBounds, UnknownName
from apprentice.state.prompts import HOUSEHOLD_INSTRUCTIONS
from apprentice.state.trajectory import Task

_ID = re.compile(r"(train|validation|test)/(\d{1,12})", re.ASCII)
_SEED_STRIDE: Final = 1_000_002  # a multiple of the number of families
_SEEDS: Final = 999_998

# Actions an attempt may take, by size and family. They were chosen with
# `python -m benchmarks.step_limits` before the model was trained. Within them, an expert that
# knows the room solves at least 98 % of the tasks, and one that knows nothing solves 30 to 55 %.
STEP_LIMITS: Final[dict[str, dict[str, int]]] = {
    "small": {"pick": 7, "light": 7, "clean": 10, "heat": 10, "cool": 10, "two": 11},
    "medium": {"pick": 9, "light": 11, "clean": 12, "heat": 12, "cool": 12, "two": 13},
    "full": {"pick": 14, "light": 17, "clean": 16, "heat": 16, "cool": 16, "two": 20},
}


class Household:
    """The generated rooms of one world and one size, named `household/<world>/<size>`."""

    splits = tuple(SPLITS)
    replayable = True
    instant = True
    instructions = HOUSEHOLD_INSTRUCTIONS

    def __init__(self, world_name: str = "north", size: str = "small") -> None:
        if size not in SIZES:
            raise UnknownName("household size", size, SIZES)
        self.world = world(world_name)
        self.size = size
        self.name = f"household/{world_name}/{size}"

    def tasks(self, split: str, limit: int, seed: int = 0) -> Iterator[Task]:
        """Yield tasks, the families in turn: each multiple of six has equal shares.

        Raises:
            UnknownName: if there is no such split.
            OutOfBounds: if the seed is negative or too large.
        """
        if split not in SPLITS:
            raise UnknownName("household split", split, SPLITS)
        if not 0 <= seed <= _SEEDS:
            raise OutOfBounds("seed", seed, 0, _SEEDS)
        first = seed * _SEED_STRIDE
        for index in range(first, first + limit):
            yield self.task(f"{split}/{index}")

    def task(self, task_id: str) -> Task:
        """Return the task of an id; 'train/06' is the task 'train/6'."""
        split, index = _parse(task_id)
        room = generate(self.world, self.size, split, index)
        return Task(
            id=f"{split}/{index}",
            environment=self.name,
            instruction=room.sentence,
            kind=room.goal.family,
            split=split,
        )

    def reset(self, task: Task) -> Game:
        """Start an episode."""
        split, index = _parse(task.id)
        return Game(self.world, generate(self.world, self.size, split, index))

    def step_limit(self, task: Task) -> int:
        """Return how many actions an attempt may take; it depends on size and family."""
        _, index = _parse(task.id)
        return STEP_LIMITS[self.size][family_of(index)]


def _parse(task_id: str) -> tuple[str, int]:
    match = _ID.fullmatch(task_id)
    if match is None:
        raise BadInput(
            f"There is no household task {task_id[:200]!r}. Ids look like 'test/17': "
            f"one of {', '.join(SPLITS)}, a slash and a number."
        )
    return match[1], int(match[2])
