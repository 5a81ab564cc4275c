"""The protocols of an environment: it offers tasks by split, and a simulator for each task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from apprentice.state.trajectory import Observation, Task


@runtime_checkable
class Simulator(Protocol):
    """One live episode. If it is replayable, the same actions give the same observations.

    Example:
        >>> environment = Workspace().environment("household/north/small")
        >>> simulator = environment.reset(environment.task("test/6"))
        >>> simulator.step("go to the moon").text
        'Nothing happens.'
    """

    def first_observation(self) -> Observation:
        """Return the first observation; it contains the task's sentence."""

    def step(self, action: str) -> Observation:
        """Execute one action. A malformed or impossible action gets an observation, no error."""


@runtime_checkable
class Environment(Protocol):
    """A set of tasks, and the simulators in which an agent attempts them.

    Attributes:
        name: the name under which the registry finds the environment.
        instructions: the part of the agent's prompt that explains the environment.
        splits: the names of the splits.
        replayable: whether the same actions rebuild a lost episode. If they do not (live tools,
            people), an attempt that loses its episode ends as interrupted.

    Example:
        >>> environment = Workspace().environment("household/north/small")
        >>> environment.task("test/6").kind
        'pick'
    """

    name: str
    instructions: str
    splits: tuple[str, ...]
    replayable: bool

    def tasks(self, split: str, limit: int, seed: int = 0) -> Iterator[Task]:
        """Yield up to `limit` tasks of a split; another seed gives other tasks if there are any."""

    def task(self, task_id: str) -> Task:
        """Return the task of an id, or raise UnknownName."""

    def reset(self, task: Task) -> Simulator:
        """Start an episode."""

    def step_limit(self, task: Task) -> int:
        """Return how many actions an attempt at the task may take."""


@runtime_checkable
class Instant(Protocol):
    """An environment that answers within microseconds if `instant` is true.

    Async callers then call it directly and start no thread.
    """

    instant: bool


@runtime_checkable
class TurnReader(Protocol):
    """An environment that reads turns itself; for all others, each line of a turn is a command."""

    def read_turn(self, text: str) -> list[str]:
        """Return the actions of a turn, in order; none if the turn has only thoughts."""
