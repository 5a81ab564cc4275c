"""The speed of the household on one core: `python -m benchmarks.household`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from apprentice.environments.household.environment import Household

ROUNDS = 5
TASKS = 300
STEPS = 20_000


def generated_per_second(size: str) -> float:
    """Generate new tasks and return tasks a second."""
    environment = Household("north", size)
    start = time.perf_counter()
    for _ in environment.tasks("train", TASKS):
        pass
    return TASKS / (time.perf_counter() - start)


def steps_per_second(size: str) -> float:
    """Walk around in one room and return steps a second."""
    environment = Household("north", size)
    game = environment.reset(environment.task("train/0"))
    actions = [f"go to {place}" for place in game.room.places]
    start = time.perf_counter()
    for number in range(STEPS):
        game.step(actions[number % len(actions)])
    return STEPS / (time.perf_counter() - start)


def main() -> None:
    """Print medians over several rounds."""
    table = Table(title=f"Household, one core, median of {ROUNDS}")
    for column in ("size", "tasks generated / s", "steps / s"):
        table.add_column(column, justify="right")
    for size in ("small", "medium", "full"):
        table.add_row(size, _median(generated_per_second, size), _median(steps_per_second, size))
    Console().print(table)


def _median(measure: Callable[[str], float], size: str) -> str:
    return f"{statistics.median(measure(size) for _ in range(ROUNDS)):,.0f}"


if __name__ == "__main__":
    main()
