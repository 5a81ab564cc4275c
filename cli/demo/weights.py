"""The fourth experiment: unseen tasks, after practice has moved into the weights.

Supervised fine-tuning (SFT) imitates training tasks that were solved with exemplars in view. The
exemplars are removed from the training rows. Successes that needed a reflection on the same task
are not used: without the reflection nothing in the prompt says what to do, so the model would learn
to guess. The SFT model then makes several attempts at each of some further training tasks. The
points where success and failure diverge give the pairs for DPO. GRPO attempts the same tasks for
reward.

The test is one attempt at each task at temperature 0, with nothing in view, by the plain model and
by each adapter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Final, NamedTuple

from rich.progress import Progress

from apprentice.cli import journal
from apprentice.cli.demo.exemplars import NOTHING, SHOWN, SIZE
from apprentice.cli.demo.fine_tuner import (
    AT_ONCE,
    CONTROL,
    RECIPES,
    SFT,
    FineTune,
    FineTuner,
    Recipe,
    attempts_of,
)
from apprentice.cli.demo.reflexion import SIZES, Demo
from apprentice.cli.evaluation import EvaluationListener, evaluate, tasks_of, together
from apprentice.cli.exemplar_memory import SPLIT, memory_of
from apprentice.cli.journal import Plan, TaskResult
from apprentice.cli.summary import Arm, compare, within
from apprentice.cli.terminal import Bar, Steps
from apprentice.state.errors import MissingPart
from apprentice.state.trajectory import Task, Trajectory

BASE: Final = "base"
STEPS: Final = 60
"""Weight updates of each fine-tune."""
TASKS_PER_EXEMPLAR: Final = 2
"""Training tasks to attempt for each exemplar."""
FRESH: Final = 96
"""Further training tasks that the SFT model attempts."""


class RecipeResult(NamedTuple):
    """The adapter of a recipe, and the results of the test tasks with it."""

    fine_tune: FineTune
    results: Sequence[TaskResult]


class Results(NamedTuple):
    """The result of each recipe. `left_out` says why a recipe was not trained."""

    by_recipe: Mapping[str, RecipeResult] = {}
    left_out: Mapping[str, str] = {}


def fine_tuner(demo: Demo) -> FineTuner:
    """Return the trainer of the demo's fine-tunes."""
    folder = demo.folder / "weights"
    return FineTuner(demo.workspace, folder, demo.model, demo.steps, demo.seed, demo.rows)


def plan(demo: Demo, size: str, adapter: str) -> Plan:
    """Return the plan that evaluates an adapter in one size of room."""
    changes = {"trials": 1, "adapter": adapter}
    return demo.plan(NOTHING, size).model_copy(update=changes)


async def attempts_with_exemplars(
    demo: Demo, successes: Sequence[Trajectory], watch: EvaluationListener, slots: asyncio.Semaphore
) -> list[Trajectory]:
    """Return attempts at training tasks, with similar successes as exemplars in view."""
    count = len(successes)
    changes = {"split": SPLIT, "trials": 1, "limit": TASKS_PER_EXEMPLAR * count, "exemplars": count}
    own = demo.plan(SHOWN, SIZE).model_copy(update=changes)
    with journal.open_journal(demo.folder / "coached.jsonl", own) as record:
        async with memory_of(demo.workspace, [record.plan], successes) as experience:
            results = await evaluate(demo.workspace, record, watch, slots, experience=experience)
            return attempts_of(results)


async def own_attempts(
    demo: Demo, adapter: str, watch: EvaluationListener, slots: asyncio.Semaphore
) -> list[Trajectory]:
    """Return several attempts of an adapter at each of the further training tasks."""
    changes = {
        "split": SPLIT,
        "trials": 1,
        "limit": demo.fresh // len(SIZES),
        "adapter": adapter,
        "seed": demo.seed + 1,  # not the tasks of the practice
    }
    attempts: list[Trajectory] = []
    for size, number in product(SIZES, range(demo.draws)):
        own = demo.plan("sampled", size).model_copy(update={**changes, "draw": number})
        with journal.open_journal(demo.folder / f"drawn-{size}-{number}.jsonl", own) as record:
            attempts += attempts_of(await evaluate(demo.workspace, record, watch, slots))
    return attempts


async def run(
    demo: Demo,
    successes: Sequence[Trajectory],
    progress: Progress,
    slots: asyncio.Semaphore,
    recipes: Mapping[str, Recipe] = RECIPES,
) -> Results:
    """Train and test every recipe. The first experiment measures the plain model.

    Args:
        demo: the settings.
        successes: the solved attempts of the practice run, which are shown as exemplars.
        progress: shows the progress.
        slots: bounds the parallel tasks.
        recipes: the fine-tunes to train.

    Raises:
        TrainingFailure: a job failed; the same command continues from its checkpoint.
        ApprenticeError: the first error of a task; the journals keep the finished tasks.
    """
    tuner, room = fine_tuner(demo), asyncio.Semaphore(AT_ONCE)
    if not (tuner.possible and successes):
        return Results()
    left_out: dict[str, str] = {}
    held_out = await asyncio.to_thread(_held_out, demo)
    follow = {name: Steps(progress, f"{name}, training") for name in recipes}
    tests = {
        (name, size): Bar(progress, f"{name}, {size} rooms") for name in recipes for size in SIZES
    }

    async def tune(name: str, attempts: Sequence[Trajectory], parent: str = "") -> FineTune | None:
        try:
            data = await asyncio.to_thread(tuner.dataset, recipes[name], attempts, held_out)
        except MissingPart as too_little:
            left_out[name] = str(too_little)
            return None
        async with room:
            return await tuner.tune(recipes[name], data, parent, follow[name])

    async def try_recipe(name: str, fine_tune: FineTune | None) -> dict[str, RecipeResult]:
        if fine_tune is None:
            return {}
        parts = await together(
            _evaluate(demo, size, name, fine_tune, tests[name, size], slots) for size in SIZES
        )
        return {name: RecipeResult(fine_tune, [each for part in parts for each in part])}

    async def refine(first: FineTune) -> dict[str, RecipeResult]:
        own = await own_attempts(demo, first.adapter, Bar(progress, "practice after sft"), slots)
        names = [name for name, recipe in recipes.items() if recipe.after == SFT]
        jobs = (tune(name, own, first.adapter) for name in names)
        by_recipe: dict[str, RecipeResult] = {}
        for name, fine_tune in zip(names, await together(jobs), strict=True):
            by_recipe |= await try_recipe(name, fine_tune)
        return by_recipe

    async def control() -> dict[str, RecipeResult]:
        return await try_recipe(CONTROL, await tune(CONTROL, examples))

    examples = await attempts_with_exemplars(
        demo, successes, Bar(progress, "practice with examples"), slots
    )
    first = await tune(SFT, examples)
    if first is None:
        return Results({}, left_out)
    parts = await together([try_recipe(SFT, first), control(), refine(first)])
    return Results({name: each for part in parts for name, each in part.items()}, left_out)


def _held_out(demo: Demo) -> list[Task]:
    return [task for size in SIZES for task in tasks_of(demo.plan(NOTHING, size), demo.workspace)]


async def _evaluate(
    demo: Demo, size: str, name: str, fine_tune: FineTune, bar: Bar, slots: asyncio.Semaphore
) -> list[TaskResult]:
    path = demo.folder / f"{name.replace(', ', '-').replace(' ', '')}-{size}.jsonl"
    with journal.open_journal(path, plan(demo, size, fine_tune.adapter)) as record:
        return await evaluate(demo.workspace, record, bar, slots)


def arms(results: Results, base: Sequence[TaskResult]) -> dict[str, Arm]:
    """Return the figures of the experiment, the plain model first."""
    if not results.by_recipe:
        return {}
    return {
        BASE: Arm(within(base, 1), None, None),
        **{
            name: Arm(within(each.results, 1), compare(each.results, base, 1), each.fine_tune)
            for name, each in results.by_recipe.items()
        },
    }
