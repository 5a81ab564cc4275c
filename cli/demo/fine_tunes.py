"""The third lesson: what was practised moves into the weights, by each method, beside a control.

A way is a fine-tune on the attempts of a practice: datasets and jobs as the training graph has
them, each job a process of its own. All of it lies in one folder, the adapters too, so what was
made before is found again and nothing is done twice.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from apprentice.cli.journal import TaskResult
from apprentice.state.advice import Method
from apprentice.state.errors import TrainingFailure
from apprentice.state.nouns import Task, Trajectory, text_of
from apprentice.training.available_data import examples
from apprentice.training.datasets.card import Dataset, save
from apprentice.training.datasets.curation import Curation, HoldOut, curate
from apprentice.training.datasets.episodes import shuffle_verdicts, task_key
from apprentice.training.jobs import PATIENCE, Job, Launcher, Status, followed
from apprentice.training.settings import read_settings
from apprentice.workspace import LOCAL, Workspace

AT_ONCE: Final = 2
"""Jobs side by side: each has the memory of a process with its libraries."""
PAUSE: Final = 0.5
"""Seconds between two looks at a job."""
ROWS: Final = 8
"""Fewest rows that a lesson learns from: it shows how learning goes, on whatever there is."""


@dataclass(frozen=True)
class Recipe:
    """A way of moving attempts into weights.

    Attributes:
        about: what it does, for people.
        after: the way whose adapter it goes on from, and whose own attempts it learns from.
        chance: whether outcomes are dealt out anew among the attempts, as a control.
        share: of the steps that a lesson gives to each way; 0 where epochs tell how many.
        settings: of its jobs, beside the steps.
    """

    about: str
    method: Method
    after: str = ""
    chance: bool = False
    share: float = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)


SFT: Final = "sft"
CONTROL: Final = "sft, shuffled outcomes"
RECIPES: Final[dict[str, Recipe]] = {
    SFT: Recipe(
        "imitates the attempts that succeeded, without what they had in view",
        "sft",
        settings={"learning_rate": 1e-3},
    ),
    CONTROL: Recipe(
        "as many steps on as many attempts, with success and failure dealt out at random",
        "sft",
        chance=True,
        settings={"learning_rate": 1e-3},
    ),
    "sft + dpo": Recipe(
        "then prefers the turn that led to success where two attempts of its own part",
        "dpo",
        after=SFT,
        share=0,
        # Whole turns were fitted by what follows from a choice, and said less of the choice itself.
        settings={
            "learning_rate": 5e-4,
            "batch": 16,
            "epochs": 2,
            "beta": 0.3,
            "imitation": 0.1,
            "span": "step",
        },
    ),
    "sft + grpo": Recipe(
        "then attempts such tasks again and again, and does more of what went better",
        "grpo",
        after=SFT,
        share=0,
        # Eight tasks a step: with four times the rate it forgot more than it learned.
        settings={"learning_rate": 5e-4, "accumulate": 2, "epochs": 1},
    ),
}

CONTROLS: Final[dict[str, Recipe]] = {
    "sft + dpo, shuffled outcomes": replace(
        RECIPES["sft + dpo"],
        about="the same, with success and failure dealt out at random",
        chance=True,
    ),
    "sft + grpo, shuffled rewards": replace(
        RECIPES["sft + grpo"],
        about="the same, with each task's rewards dealt out at random among its attempts",
        settings={**RECIPES["sft + grpo"].settings, "shuffled": True},
    ),
}
"""Further controls, for figures."""


class FineTune(NamedTuple):
    """What a fine-tune came to.

    Attributes:
        adapter: its name in the folder's registry.
        rows: that it learned from.
        seconds: that the training took, the loading of libraries left out.
        memory_mb: the most that its process held.
    """

    adapter: str
    rows: int
    steps: int
    seconds: float
    memory_mb: float


class StepListener(Protocol):
    """Who hears how far a job is."""

    def step(self, steps_done: int, total: int) -> None:
        """Hear that so many of its steps are done."""


@dataclass(frozen=True)
class FineTuner:
    """Where a lesson's fine-tunes are made, and of what.

    Attributes:
        workspace: has the base, and the tasks that the adapters are tried on.
        folder: holds datasets, jobs and adapters.
        model: `local:` and the name of the base.
        steps: updates of the weights that a way has.
    """

    workspace: Workspace
    folder: Path
    model: str
    steps: int
    seed: int = 0

    @property
    def possible(self) -> bool:
        """Whether there is anything to tune: a hosted model's weights are not here."""
        return self.steps > 0 and self.model.startswith(LOCAL)

    @property
    def launcher(self) -> Launcher:
        """Return who starts the jobs."""
        return self.workspace.launcher(self.folder / "jobs", in_turn=False)

    def dataset(
        self, recipe: Recipe, attempts: Sequence[Trajectory], held_out: Iterable[Task] = ()
    ) -> Dataset:
        """Curate what a way learns from; blocks.

        Args:
            way: which one.
            attempts: of the practice.
            held_out: the tasks that it will be tried on.

        Raises:
            MissingPart: there is too little.
        """
        verdicts = shuffle_verdicts(attempts, self.seed) if recipe.chance else list(attempts)
        data = examples(recipe.method, verdicts)
        tasks = list(held_out)
        aside = HoldOut.of(map(task_key, tasks), map(self._opening, tasks))
        settings = Curation(share=0, minimum_rows=ROWS, minimum_tasks=ROWS)
        dataset = curate(
            recipe.method, data.examples, settings, held_out=aside, left_out=data.left_out
        )
        return save(dataset, self.folder / "datasets")

    async def tune(
        self,
        recipe: Recipe,
        dataset: Dataset,
        parent: str = "",
        listener: StepListener | None = None,
    ) -> FineTune:
        """Train a way's adapter, or find it trained.

        Raises:
            TrainingFailure: it could not be; what was saved is where the next call goes on.
        """
        settings = {
            "method": recipe.method,
            "base": self.model.removeprefix(LOCAL),
            "parent": parent,
            "seed": self.seed,
            "max_steps": ceil(recipe.share * self.steps),
            **recipe.settings,
        }
        job = await asyncio.to_thread(
            Job.of, dataset.folder, read_settings(settings), self.workspace.local_models
        )
        outcome = await run_job(job, self.launcher, listener)
        metrics = outcome["metrics"]
        return FineTune(
            outcome["adapter"],
            len(dataset.rows()),
            int(metrics["steps"]),
            metrics["seconds"],
            metrics["memory_mb"],
        )

    def _opening(self, task: Task) -> str:
        where = self.workspace.environment(task.environment)
        return text_of(self.workspace.episodes.start(where, task))


def fine_tuning_workspace(workspace: Workspace, folder: Path) -> Workspace:
    """Return a workspace whose adapters are in a lesson's folder, for jobs side by side.

    Each job gets its share of the cores: with all cores each, they hold each other up.
    """
    share = max(1, (os.cpu_count() or 1) // AT_ONCE)
    return workspace.with_adapters((folder / "adapters").resolve(), threads=share)


async def run_job(
    job: Job,
    launcher: Launcher,
    listener: StepListener | None = None,
    *,
    pause: float = PAUSE,
    patience: float = PATIENCE,
) -> dict[str, Any]:
    """Launch a job and wait for its end; who stops waiting stops it.

    Raises:
        TrainingFailure: it failed, was killed, or never began.
    """

    async def look() -> Status:
        return await asyncio.to_thread(launcher.look, job.id)

    await asyncio.to_thread(launcher.launch, job)
    try:
        async for status in followed(look, pause, patience):
            if status.stage == "done":
                return status.outcome
            if status.stage == "failed":
                raise TrainingFailure(str(status.outcome["error"]))
            if listener and "steps" in status.latest:
                listener.step(int(status.latest["step"]), int(status.latest["steps"]))
    except asyncio.CancelledError:
        launcher.stop(job.id)
        raise
    raise TrainingFailure(
        f"The training of {job.adapter} ended without a word: its process was killed, "
        "or never began. Its log lies beside its job; the same command goes on."
    )


def attempts_of(results: Iterable[TaskResult]) -> list[Trajectory]:
    """Return every attempt at every task."""
    return [attempt for result in results for attempt in result.attempts]
