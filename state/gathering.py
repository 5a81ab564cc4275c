"""From gathered attempts to the evidence that rules are drawn from, and what rests on it.

After ExpeL (Zhao et al. 2023, arXiv 2308.10144): every success of a task is compared with every
failure of the same task, then successes of different tasks are looked at together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Final, Literal

from state.nouns import Noun, Task, Trajectory
from state.reflexion import Outcome

CHUNK: Final = 8
"""Successes that are looked at together."""


class Gathered(Noun):
    """Every attempt that a run made at one task."""

    task: Task
    outcome: Outcome
    attempts: tuple[Trajectory, ...] = ()

    def ended(self, success: bool) -> list[Trajectory]:
        """Return the attempts that succeeded, or those that failed."""
        return [attempt for attempt in self.attempts if attempt.verdict.success is success]


class Evidence(Noun):
    """What one question to the critic rests on.

    Attributes:
        kind: a success and a failure of one task, in this order, or successes of several tasks.
        trajectories: their ids.
    """

    kind: Literal["pair", "successes"]
    trajectories: tuple[str, ...]

    def halves(self) -> tuple[Evidence, ...]:
        """Return the evidence in two parts; a pair, or a single success, cannot be divided."""
        count = len(self.trajectories)
        if self.kind == "pair" or count < 2:
            return ()
        parts = (self.trajectories[: count // 2], self.trajectories[count // 2 :])
        return tuple(Evidence(kind="successes", trajectories=part) for part in parts)


def extracted(gathered: Sequence[Gathered], seed: int, chunk: int = CHUNK) -> list[Evidence]:
    """Return the evidence in what was gathered: pairs, then chunks of successes.

    Args:
        gathered: tasks with their attempts.
        seed: shuffles the successes.
        chunk: successes a chunk, at most.
    """
    pairs = [
        Evidence(kind="pair", trajectories=(success.id, failure.id))
        for each in gathered
        for success in each.ended(True)
        for failure in each.ended(False)
    ]
    by_task = {each.task.id: each.ended(True) for each in gathered if each.ended(True)}
    solved = [each.task for each in gathered if each.task.id in by_task]
    ordered = [success for task in balanced(solved, Random(seed)) for success in by_task[task.id]]
    chunks = [ordered[start : start + chunk] for start in range(0, len(ordered), chunk)]
    return pairs + [
        Evidence(kind="successes", trajectories=tuple(success.id for success in part))
        for part in chunks
    ]


def balanced(tasks: Iterable[Task], rng: Random) -> Iterator[Task]:
    """Shuffle tasks so that kinds take turns for as long as they last."""
    by_kind: dict[str, list[Task]] = {}
    for task in tasks:
        by_kind.setdefault(task.kind, []).append(task)
    queues = [by_kind[kind] for kind in sorted(by_kind)]
    for queue in queues:
        rng.shuffle(queue)
    rng.shuffle(queues)
    while queues := [queue for queue in queues if queue]:
        for queue in queues:
            yield queue.pop()
