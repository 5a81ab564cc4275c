"""The main job: an agent that fails, reflects and succeeds, beside its controls.

The household's test tasks in small and medium rooms, the same tasks for every technique.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.progress import Progress

from apprentice.cli import journal
from apprentice.cli.evaluation import checked_plan, evaluate, together
from apprentice.cli.journal import Journal, Plan, TaskResult
from apprentice.cli.techniques import TECHNIQUES, TechniqueName
from apprentice.cli.terminal import Bar
from apprentice.workspace import Workspace

LEARNER: Final[TechniqueName] = "reflexion"
CONTROLS: Final[tuple[TechniqueName, ...]] = ("others-reflections", "sampled", "none")
STUDENT: Final[TechniqueName] = "expel"
SIZES: Final = ("small", "medium")


@dataclass(frozen=True)
class Demo:
    """What `learn` is to show.

    Attributes:
        workspace: where it is shown.
        folder: where journals and reports go.
        tasks: how many tasks of each size of room.
        successes: how many solved tasks a memory of exemplars holds at most; 0 for no such lesson.
        training: how many training tasks rules are learned from, in each; 0 for no rules.
        steps: updates of the weights that an imitation has; 0 for no fine-tunes.
        fresh: training tasks that the imitator attempts by itself, to be refined on.
    """

    workspace: Workspace
    folder: Path
    world: str
    tasks: int
    trials: int
    model: str
    seed: int
    max_tokens: int
    exemplars: int
    training: int
    steps: int
    fresh: int

    @property
    def techniques(self) -> tuple[TechniqueName, ...]:
        """What is shown, the learner first."""
        return (LEARNER, *((STUDENT,) if self.training else ()), *CONTROLS)

    def plan(self, technique: TechniqueName, size: str) -> Plan:
        """Return the evaluation of one technique in one size of room."""
        own = self.folder / f"{LEARNER}-{size}.jsonl"
        return checked_plan(
            self.workspace,
            environment=f"household/{self.world}/{size}",
            split="test",
            technique=technique,
            model=self.model,
            trials=self.trials,
            temperature=TECHNIQUES[technique].temperature,
            seed=self.seed,
            limit=self.tasks,
            max_tokens=self.max_tokens,
            training=self.training if TECHNIQUES[technique].learns_rules else 0,
            donors=str(own) if TECHNIQUES[technique].borrows else "",
        )


Results = Mapping[TechniqueName, Mapping[str, Sequence[TaskResult]]]
Journals = Mapping[tuple[TechniqueName, str], Journal]


@contextmanager
def open_journals(demo: Demo) -> Iterator[Journals]:
    """Open every journal of a lesson, finished or not."""
    with ExitStack() as stack:
        yield {
            (technique, size): stack.enter_context(
                journal.open_journal(
                    demo.folder / f"{technique}-{size}.jsonl", demo.plan(technique, size)
                )
            )
            for technique in demo.techniques
            for size in SIZES
        }


async def run(
    demo: Demo, journals: Journals, progress: Progress, slots: asyncio.Semaphore
) -> Results:
    """Run the learner, then the others; sizes of rooms and the others side by side.

    Raises:
        ApprenticeError: the first one that a task meets; what was finished is kept.
    """
    bars = {key: Bar(progress, f"{key[0]}, {key[1]} rooms") for key in journals}
    own = await together(
        evaluate(demo.workspace, journals[LEARNER, size], bars[LEARNER, size], slots)
        for size in SIZES
    )
    donors = dict(zip(SIZES, own, strict=True))
    pairs = [key for key in journals if key[0] != LEARNER]
    others = await together(
        evaluate(demo.workspace, journals[pair], bars[pair], slots, donors[pair[1]])
        for pair in pairs
    )
    by_key = dict(zip(pairs, others, strict=True))
    names = dict.fromkeys(name for name, _ in pairs)
    return {
        LEARNER: donors,
        **{name: {size: by_key[name, size] for size in SIZES} for name in names},
    }


def pool_sizes(results: Results) -> dict[str, list[TaskResult]]:
    """Put the sizes of rooms together."""
    return {
        name: [result for size in SIZES for result in by_size[size]]
        for name, by_size in results.items()
    }


def example(results: Sequence[TaskResult]) -> TaskResult | None:
    """Return a task that was failed, reflected on, and solved: the one with least to read."""
    recoveries = [
        result for result in results if result.outcome == "solved" and len(result.attempts) > 1
    ]
    return min(
        recoveries,
        key=lambda result: (
            len(result.attempts),
            sum(len(each.messages) for each in result.attempts),
        ),
        default=None,
    )
