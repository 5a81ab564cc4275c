"""Tasks to try things on."""

from __future__ import annotations

import pytest

from apprentice.environments.household.expert import Turn, expert
from apprentice.state.trajectory import Task
from tests.places import environment


@pytest.fixture(scope="session")
def hard() -> Task:
    """Return a household task that the expert fails at when nothing tells it where things are."""
    household = environment("household/north/full")
    for task in household.tasks("test", 60):
        simulator = household.reset(task)
        opening, turns = simulator.first_observation().text, list[Turn]()
        for _ in range(household.step_limit(task)):
            said = expert(opening, turns)
            seen = simulator.step(said.splitlines()[-1])
            turns.append(Turn(said, seen.text))
            if seen.done:
                break
        else:
            return task
    raise AssertionError("The expert solves all of 60 tasks at once.")


@pytest.fixture(scope="session")
def easy() -> Task:
    """Return a household task that the expert solves at once."""
    return environment("household/north/small").task("test/1")
