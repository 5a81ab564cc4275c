"""Fine-tunes on the attempts of a practice: a recipe for each method, and their controls.

Datasets and jobs are those of the training graph, and each job is a process of its own. Datasets,
jobs and adapters are in one folder, so a repeated run finds them and trains nothing twice.
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
from apprentice.state.trajectory import Task, Trajectory, text_of
from apprentice.training.available_data import examples
from apprentice.training.datasets.card import Dataset, save
from apprentice.training.datasets.curation import Curation, HoldOut, curate
from apprentice.training.datasets.episodes import shuffle_verdicts, task_key
from apprentice.training.jobs import Job, Launcher, Status, follow
from apprentice.training.settings import read_settings
from apprentice.workspace import LOCAL, Workspace

AT_ONCE: Final = 2
"""Parallel jobs. Each needs the memory of a process with its own libraries."""
ROWS: Final = 8
"""The fewest rows of a dataset. It is low, because the demo trains on the data it has."""


@dataclass(frozen=True)
class Recipe:
    """How one adapter is trained.

    Attributes:
        about: what the training does, for people.
        after: the recipe whose adapter it continues, and whose attempts it learns from.
        chance: whether verdicts are shuffled among the attempts, for a control.
        share: its steps as a share of the usual ones; 0 if `settings` has epochs.
        settings: further settings of the job.
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
        "imitates the successful attempts, without the exemplars that they had in view",
        "sft",
        settings={"learning_rate": 1e-3},
    ),
    CONTROL: Recipe(
        "as many steps on as many attempts, with success and failure shuffled",
        "sft",
        chance=True,
        settings={"learning_rate": 1e-3},
    ),
    "sft + dpo": Recipe(
        "then prefers the turn that led to success where two of its attempts diverge",
        "dpo",
        after=SFT,
        share=0,
        # With whole turns the loss fitted mostly the text after the choice, not the choice.
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
        "then attempts such tasks repeatedly, and reinforces the better attempts",
        "grpo",
        after=SFT,
        share=0,
        # Eight tasks a step. With four times this rate the model got worse.
        settings={"learning_rate": 5e-4, "accumulate": 2, "epochs": 1},
    ),
}

CONTROLS: Final[dict[str, Recipe]] = {
    "sft + dpo, shuffled outcomes": replace(
        RECIPES["sft + dpo"],
        about="the same, with success and failure shuffled",
        chance=True,
    ),
    "sft + grpo, shuffled rewards": replace(
        RECIPES["sft + grpo"],
        about="the same, with the rewards of each task shuffled among its attempts",
        settings={**RECIPES["sft + grpo"].settings, "shuffled": True},
    ),
}
"""Further controls, for the benchmarks."""


class FineTune(NamedTuple):
    """A finished fine-tune and its cost.

    Attributes:
        adapter: its name in the registry.
        rows: rows of the dataset.
        steps: weight updates.
        seconds: time of the training, without loading the libraries.
        memory_mb: peak memory of the process.
    """

    adapter: str
    rows: int
    steps: int
    seconds: float
    memory_mb: float


class StepListener(Protocol):
    """Receives the progress of a job."""

    def step(self, steps_done: int, total: int) -> None:
        """Receive the number of finished steps."""


@dataclass(frozen=True)
class FineTuner:
    """Trains the adapters of recipes.

    Attributes:
        workspace: has the base model and the environments.
        folder: for datasets, jobs and adapters.
        model: `local:` and the name of the base.
        steps: weight updates of a recipe.
        seed: for the jobs and the shuffled controls.
        rows: the fewest rows of a dataset.
    """

    workspace: Workspace
    folder: Path
    model: str
    steps: int
    seed: int = 0
    rows: int = ROWS

    @property
    def possible(self) -> bool:
        """Whether fine-tuning is possible: only a local model has its weights here."""
        return self.steps > 0 and self.model.startswith(LOCAL)

    @property
    def launcher(self) -> Launcher:
        """The launcher of the jobs."""
        return self.workspace.launcher(self.folder / "jobs", in_turn=False)

    def dataset(
        self, recipe: Recipe, attempts: Sequence[Trajectory], held_out: Iterable[Task] = ()
    ) -> Dataset:
        """Make the dataset of a recipe. This blocks.

        Args:
            recipe: has the method.
            attempts: those of the practice.
            held_out: the test tasks, which the dataset must not have.

        Raises:
            MissingPart: there are too few rows.
        """
        verdicts = shuffle_verdicts(attempts, self.seed) if recipe.chance else list(attempts)
        data = examples(recipe.method, verdicts)
        tasks = list(held_out)
        aside = HoldOut.of(map(task_key, tasks), map(self._opening, tasks))
        settings = Curation(share=0, minimum_rows=self.rows, minimum_tasks=self.rows)
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
        """Train the adapter of a recipe, or return the existing one.

        Raises:
            TrainingFailure: the job failed; the next call continues from its checkpoint.
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
    """Return a workspace whose adapters are in a folder, for parallel jobs.

    Each job gets its share of the cores. If each used all cores, they would slow each other down.
    """
    share = max(1, (os.cpu_count() or 1) // AT_ONCE)
    return workspace.with_adapters((folder / "adapters").resolve(), threads=share)


async def run_job(
    job: Job, launcher: Launcher, listener: StepListener | None = None
) -> dict[str, Any]:
    """Start a job, wait for its end, and return its outcome. Cancelling this stops the job.

    Raises:
        TrainingFailure: the job failed, was killed, or never started.
    """

    async def look() -> Status:
        return await asyncio.to_thread(launcher.look, job.id)

    await asyncio.to_thread(launcher.launch, job)
    try:
        async for status in follow(look, launcher):
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
        f"The training of {job.adapter} ended without a result: its process was killed or never "
        "started. Its log is in the job's folder. The same command continues."
    )


def attempts_of(results: Iterable[TaskResult]) -> list[Trajectory]:
    """Return all attempts at all tasks."""
    return [attempt for result in results for attempt in result.attempts]
