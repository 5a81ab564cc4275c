"""The figures behind the household's step limits: `python -m benchmarks.step_limits`.

For every room size and task family the table has the share of tasks that three experts solve within
the limit: one that knows nothing, one that knows the world's conventions, and one that also knows
where everything is. A limit is right if the last solves 98 % or more, and the first 30 to 55 %.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

from rich.console import Console
from rich.table import Table

from apprentice.environments.household.environment import STEP_LIMITS, Household
from apprentice.environments.household.expert import Knowledge, Turn, action_in, expert
from apprentice.environments.household.game import Game
from apprentice.environments.household.language import kind_of
from apprentice.environments.household.vocabulary import CATEGORY, FAMILIES
from apprentice.state.trajectory import Task

LONGEST = 60


def conventions(environment: Household) -> Knowledge:
    """Return the knowledge of the world's conventions."""
    world = environment.world
    storage = {noun: world.keeps[category] for noun, category in CATEGORY.items()}
    return Knowledge(storage, appliances=dict(world.treats))


def everything(environment: Household, game: Game) -> Knowledge:
    """Return the knowledge of the room: where each thing is."""
    locations: dict[str, tuple[str, ...]] = {}
    for thing, place in game.room.things.items():
        locations[kind_of(thing)] = (*locations.get(kind_of(thing), ()), place)
    return Knowledge(locations=locations, appliances=dict(environment.world.treats))


def steps_needed(game: Game, knowledge: Knowledge) -> int:
    """Let the expert play; return its number of steps, or LONGEST + 1."""
    first_text = game.first_observation().text
    turns: list[Turn] = []
    for step in range(1, LONGEST + 1):
        text = expert(first_text, turns, knowledge)
        answer = game.step(action_in(text))
        turns.append(Turn(text, answer.text))
        if answer.done:
            return step
    return LONGEST + 1


def measure(environment: Household, tasks: list[Task]) -> dict[str, tuple[list[int], ...]]:
    """Return the numbers of steps of the three experts, by family."""
    by_family: dict[str, tuple[list[int], ...]] = defaultdict(lambda: ([], [], []))
    for task in tasks:
        levels = (
            Knowledge(),
            conventions(environment),
            everything(environment, environment.reset(task)),
        )
        for steps, knowledge in zip(by_family[task.kind], levels, strict=True):
            steps.append(steps_needed(environment.reset(task), knowledge))
    return by_family


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", nargs="+", default=["north", "south", "alfworld"])
    parser.add_argument("--tasks", type=int, default=240, help="for each world and size")
    options = parser.parse_args()
    table = Table(title="Tasks solved within the step limit, %")
    for column in ("size", "family", "limit", "knows nothing", "conventions", "everything"):
        table.add_column(column, justify="left" if column in ("size", "family") else "right")
    for size, limits in STEP_LIMITS.items():
        by_family: dict[str, list[list[int]]] = {family: [[], [], []] for family in FAMILIES}
        for world in options.worlds:
            environment = Household(world, size)
            locations = measure(environment, list(environment.tasks("validation", options.tasks)))
            for family, columns in locations.items():
                for total, steps in zip(by_family[family], columns, strict=True):
                    total.extend(steps)
        for family, totals in by_family.items():
            shares = [_share(steps, limits[family]) for steps in totals]
            table.add_row(size, family, str(limits[family]), *shares)
        together = [
            _share([s - limits[f] for f in FAMILIES for s in by_family[f][column]], 0)
            for column in range(3)
        ]
        table.add_row(size, "all", "", *together, end_section=True)
    Console().print(table)


def _share(steps: list[int], limit: int) -> str:
    return f"{100 * sum(count <= limit for count in steps) / len(steps):.1f}"


if __name__ == "__main__":
    main()
