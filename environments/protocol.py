"""What an environment is: tasks by split and number, and a simulator for one task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from apprentice.state.nouns import Observation, Task


@runtime_checkable
class Simulator(Protocol):
    """One live episode. Where it is replayable, the same actions give the same observations."""

    def first_observation(self) -> Observation:
        """Return the first observation; it contains the task's sentence."""

    def step(self, action: str) -> Observation:
        """Carry out one action; what is malformed or impossible is answered, never raised."""


@runtime_checkable
class Environment(Protocol):
    """Where an agent acts.

    Attributes:
        name: the name it is registered and asked for under.
        instructions: what the agent is told about acting here.
        splits: names of its splits.
        replayable: whether a lost episode can be rebuilt by repeating its actions; where it
            cannot (live tools, people), an attempt that loses its episode is interrupted.
    """

    name: str
    instructions: str
    splits: tuple[str, ...]
    replayable: bool

    def tasks(self, split: str, limit: int, seed: int = 0) -> Iterator[Task]:
        """Yield up to `limit` tasks of a split; another seed gives other ones if it can."""

    def task(self, task_id: str) -> Task:
        """Return the task of an id, or raise UnknownName."""

    def reset(self, task: Task) -> Simulator:
        """Start an episode."""

    def step_limit(self, task: Task) -> int:
        """Return how many actions an attempt at the task may take."""


@runtime_checkable
class Instant(Protocol):
    """An environment that says whether it answers within microseconds: not worth a thread."""

    instant: bool


@runtime_checkable
class TurnReader(Protocol):
    """An environment that says itself which actions a turn holds; else its lines are commands."""

    def read_turn(self, text: str) -> list[str]:
        """Return the actions of a turn, in order; none if it was only thought."""
