"""The first experiment: an agent that fails, reflects and succeeds, and its controls.

Every technique attempts the same test tasks of the household, in small and medium rooms.
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
from apprentice.cli.demo.fine_tuner import ROWS
from apprentice.cli.evaluation import checked_plan, evaluate, together
from apprentice.cli.journal import Journal, Plan, TaskResult
from apprentice.cli.techniques import TECHNIQUES, TechniqueName
from apprentice.cli.terminal import Bar
from apprentice.workspace import Workspace

LEARNER: Final[TechniqueName] = "reflexion"
CONTROLS: Final[tuple[TechniqueName, ...]] = ("others-reflections", "sampled", "none")
STUDENT: Final[TechniqueName] = "expel"
SIZES: Final = ("small", "medium")
DRAWS: Final = 4
"""Attempts of the SFT model at each task. They give as many pairs as eight at half the tasks."""


@dataclass(frozen=True)
class Demo:
    """The settings of one run of `apprentice learn`.

    Attributes:
        workspace: has the environments, models, store and memory.
        folder: for journals and reports.
        tasks: test tasks for each size of room.
        exemplars: the upper limit of solved tasks in the memory; 0 for no such experiment.
        training: training tasks for learning rules, in each world; 0 for no rules.
        steps: weight updates of supervised fine-tuning; 0 for no fine-tunes.
        fresh: further training tasks that the fine-tuned model attempts, for preferences and
            rewards.
        draws: the number of attempts at each fresh task.
        rows: the smallest allowed number of rows of a dataset.
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
    draws: int = DRAWS
    rows: int = ROWS

    @property
    def techniques(self) -> tuple[TechniqueName, ...]:
        """The techniques, the learner first."""
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
    """Open all journals of the experiment."""
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
    """Run the learner, then the other techniques in parallel.

    Raises:
        ApprenticeError: the first error of a task; the journals keep the finished tasks.
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
    """Return the results of all sizes of rooms, by technique."""
    return {
        name: [result for size in SIZES for result in by_size[size]]
        for name, by_size in results.items()
    }


def example(results: Sequence[TaskResult]) -> TaskResult | None:
    """Return the shortest result that has a failure, a reflection and a success."""
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
