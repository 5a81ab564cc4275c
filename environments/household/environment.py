"""The household as an environment: names to tasks, tasks to games, and the step limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from environments.household.game import Game
from environments.household.rooms import SIZES, SPLITS, generate
from environments.household.world import world
from state.errors import BadInput, UnknownName
from state.nouns import Task
from state.prompts import HOUSEHOLD_INSTRUCTIONS

_ID = re.compile(r"(train|validation|test)/(\d{1,9})$")

# Actions an attempt may take, by size and family. Chosen with `python -m benchmarks.limits`
# before the model was trained: an informed expert solves 98 %
# or more within them, one that knows nothing 30 to 55 %.
STEP_LIMITS: Final[dict[str, dict[str, int]]] = {
    "small": {"pick": 7, "light": 7, "clean": 10, "heat": 10, "cool": 10, "two": 11},
    "medium": {"pick": 9, "light": 11, "clean": 12, "heat": 12, "cool": 12, "two": 13},
    "full": {"pick": 14, "light": 17, "clean": 16, "heat": 16, "cool": 16, "two": 20},
}


class Household:
    """Generated rooms of one world and one size: `household/<world>/<size>`."""

    splits = tuple(SPLITS)
    replayable = True
    instructions = HOUSEHOLD_INSTRUCTIONS

    def __init__(self, world_name: str = "north", size: str = "small") -> None:
        if size not in SIZES:
            raise UnknownName("household size", size, SIZES)
        self.world = world(world_name)
        self.size = size
        self.name = f"household/{world_name}/{size}"

    def tasks(self, split: str, limit: int, seed: int = 0) -> Iterator[Task]:
        """Yield tasks; families take turns, so any multiple of six is balanced."""
        if split not in SPLITS:
            raise UnknownName("household split", split, SPLITS)
        first = seed * 1_000_002
        for index in range(first, first + limit):
            yield self.task(f"{split}/{index}")

    def task(self, task_id: str) -> Task:
        match = _ID.match(task_id)
        if match is None:
            raise BadInput(
                f"There is no household task {task_id!r}. Ids look like 'test/17': "
                f"one of {', '.join(SPLITS)}, then a number."
            )
        room = generate(self.world, self.size, match[1], int(match[2]))
        return Task(
            id=task_id,
            environment=self.name,
            instruction=room.sentence,
            kind=room.goal.family,
            split=match[1],
        )

    def reset(self, task: Task) -> Game:
        match = _ID.match(task.id)
        if match is None:
            raise BadInput(f"There is no household task {task.id!r}.")
        return Game(self.world, generate(self.world, self.size, match[1], int(match[2])))

    def step_limit(self, task: Task) -> int:
        return STEP_LIMITS[self.size][task.kind]
