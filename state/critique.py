"""Evidence for the critic: pairs and groups of attempts, cut to the room in a prompt.

After ExpeL (Zhao et al. 2023, arXiv 2308.10144): every success of a task is compared with every
failure of the same task, then successes of different tasks are looked at together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import ClassVar, Final, Literal

from apprentice.state.reflexion import ReflexionOutcome
from apprentice.state.trajectory import FrozenModel, Task, Trajectory

CHUNK: Final = 8
"""Successes in one question to the critic."""
ELIDED: Final = "…"
"""Replaces the lines of a transcript that had no room."""


class TaskAttempts(FrozenModel):
    """Every attempt that a run made at one task."""

    stored_as: ClassVar[str] = "gathered"

    task: Task
    outcome: ReflexionOutcome
    attempts: tuple[Trajectory, ...] = ()

    def with_success(self, success: bool) -> list[Trajectory]:
        """Return the attempts that succeeded, or those that failed."""
        return [attempt for attempt in self.attempts if attempt.verdict.success is success]


class CritiqueEvidence(FrozenModel):
    """The attempts that one question to the critic shows.

    Attributes:
        kind: a success and a failure of one task, in this order, or successes of several tasks.
        trajectories: their ids.
    """

    kind: Literal["pair", "successes"]
    trajectories: tuple[str, ...]

    def halves(self) -> tuple[CritiqueEvidence, ...]:
        """Return the evidence in two parts; a pair, or a single success, cannot be divided."""
        count = len(self.trajectories)
        if self.kind == "pair" or count < 2:
            return ()
        parts = (self.trajectories[: count // 2], self.trajectories[count // 2 :])
        return tuple(CritiqueEvidence(kind="successes", trajectories=part) for part in parts)


def extract_evidence(
    task_attempts: Sequence[TaskAttempts],
    seed: int,
    chunk: int = CHUNK,
    size: Callable[[Trajectory], int] = lambda _: 0,
    room: int | None = None,
) -> list[CritiqueEvidence]:
    """Return the evidence in tasks' attempts: pairs, then chunks of successes.

    Args:
        task_attempts: tasks with their attempts.
        seed: shuffles the successes.
        chunk: successes per chunk, at most.
        size: counts an attempt's tokens.
        room: tokens per chunk, at most. A longer success stands alone. None: no limit.
    """
    pairs = [
        CritiqueEvidence(kind="pair", trajectories=(success.id, failure.id))
        for each in task_attempts
        for success in each.with_success(True)
        for failure in each.with_success(False)
    ]
    by_task = {
        each.task.id: each.with_success(True) for each in task_attempts if each.with_success(True)
    }
    solved_tasks = [each.task for each in task_attempts if each.task.id in by_task]
    successes = [
        success
        for task in alternate_kinds(solved_tasks, Random(seed))
        for success in by_task[task.id]
    ]
    return pairs + [
        CritiqueEvidence(kind="successes", trajectories=tuple(success.id for success in part))
        for part in _chunks(successes, chunk, size, room)
    ]


def _chunks(
    successes: Iterable[Trajectory],
    most: int,
    size: Callable[[Trajectory], int],
    room: int | None,
) -> Iterator[list[Trajectory]]:
    """Group successes in their order, up to the limits of number and tokens."""
    part: list[Trajectory] = []
    tokens = 0
    for success in successes:
        more = size(success)
        if part and (len(part) == most or (room is not None and tokens + more > room)):
            yield part
            part, tokens = [], 0
        part.append(success)
        tokens += more
    if part:
        yield part


def shorten(texts: Sequence[str], count: Callable[[str], int], room: int) -> list[str]:
    """Return transcripts that fit together: the longest lose lines from their middle.

    Args:
        texts: the transcripts.
        count: counts a text's tokens.
        room: tokens of all transcripts together, at most.
    """
    results, room_left = list(texts), room
    places = sorted(range(len(texts)), key=lambda place: count(texts[place]))
    for number, place in enumerate(places):
        results[place] = _cut(texts[place], count, room_left // (len(places) - number))
        room_left -= count(results[place])
    return results


def _cut(text: str, count: Callable[[str], int], room: int) -> str:
    lines, cut = text.splitlines(), text
    for line_count in range(len(lines) - 1, -1, -1):
        if count(cut) <= room:
            break
        cut = "\n".join(
            [*lines[: line_count - line_count // 2], ELIDED, *lines[len(lines) - line_count // 2 :]]
        )
    return cut


def alternate_kinds(tasks: Iterable[Task], rng: Random) -> Iterator[Task]:
    """Shuffle tasks so that kinds take turns until each runs out."""
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
