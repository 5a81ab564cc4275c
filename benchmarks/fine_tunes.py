"""The gain and the cost of fine-tuning on unseen tasks: `python -m benchmarks.fine_tunes`.

There are three tables with 95 % intervals. Household tasks: every method, the plain model and a
control on shuffled outcomes. Function calls with held-out tools: SFT, the plain model and shuffled
labels. Shapes in images: before and after. Attempts, datasets and jobs are under --runs. An
interrupted command continues, and a finished one is read from its files.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.progress import Progress

from apprentice.cli import event_loop, journal
from apprentice.cli.demo import exemplars, weights
from apprentice.cli.demo.fine_tuner import (
    CONTROL,
    CONTROLS,
    RECIPES,
    SFT,
    FineTune,
    FineTuner,
    Recipe,
    fine_tuning_workspace,
)
from apprentice.cli.demo.reflexion import SIZES, Demo
from apprentice.cli.evaluation import checked_plan, evaluate
from apprentice.cli.journal import TaskResult
from apprentice.cli.summary import compare, within
from apprentice.environments.toolcalls.calls import Marks, Metrics, mark, metrics
from apprentice.environments.toolcalls.environment import Toolcalls
from apprentice.models import names
from apprentice.state.context import Context
from apprentice.state.statistics import Difference, difference, rate
from apprentice.state.trajectory import text_of
from apprentice.training.datasets.card import Dataset, Example, save
from apprentice.training.datasets.curation import Curation, curate
from apprentice.training.datasets.demonstrations import (
    join_conversations,
    sampled_calls,
    tool_calls,
)
from apprentice.workspace import Workspace
from benchmarks import shape_images
from benchmarks.figures_document import MODEL, WORLDS, Figures, SilentListener, percent

SHUFFLED_LABELS: Final = "sft, shuffled labels"
EYES: Final = "eyes"
CLERK: Final = f"local:{names.CLERK}"
CALLS: Final = Recipe(
    "imitates ideal turns, with other tools in each conversation",
    "sft",
    share=2,
    settings={"rank": 32, "alpha": 64, "learning_rate": 8e-4, "batch": 4},
)
CONVERSATIONS: Final = 600
NEVER: Final = "never calling"
IMAGES: Final = (256, 96)
"""Images for training, and for the test."""


class FineTuneFigures(Figures):
    """Measures fine-tunes and collects the lines of the document.

    Args:
        successes: solved training tasks in each world, which are shown as exemplars.
        steps: weight updates of supervised fine-tuning.
        fresh: further training tasks in each world, which the fine-tuned model attempts.
    """

    def __init__(
        self, folder: Path, tasks: int, concurrency: int, successes: int, steps: int, fresh: int
    ) -> None:
        super().__init__(folder, tasks, concurrency, repeats=1, training=0)
        self.successes = successes
        self.steps = steps
        self.fresh = fresh

    def fine_tuner(self, name: str, model: str = MODEL) -> FineTuner:
        """Return the trainer whose fine-tunes are in the folder of that name."""
        folder = self.folder / name
        return FineTuner(fine_tuning_workspace(self.workspace, folder), folder, model, self.steps)


async def household(figures: FineTuneFigures) -> None:
    """Write the table of household tasks: every method, in both worlds."""
    by_recipe: dict[str, list[TaskResult]] = {weights.BASE: []}
    took: dict[str, list[FineTune]] = {}
    for world in WORLDS:
        base, results = await _world(figures, world)
        by_recipe[weights.BASE] += base
        for name, each in results.by_recipe.items():
            by_recipe.setdefault(name, []).extend(each.results)
            took.setdefault(name, []).append(each.fine_tune)
    figures.say("", "## Practice moved into the weights", "")
    figures.say(
        "First attempts at household test tasks with nothing in view, in %; practice with "
        f"{figures.successes} solved training tasks as exemplars, in small rooms, then with "
        f"{figures.fresh} further ones; worlds {' and '.join(WORLDS)}, small and medium rooms. "
        "Rows, time and memory are those of one world."
    )
    against = {weights.BASE: "base", CONTROL: "control", SFT: "sft"}
    rows = []
    for name, task_results in by_recipe.items():
        gaps = [
            _gap(compare(task_results, by_recipe[other], 1))
            if name not in (weights.BASE, other)
            else ""
            for other in against
        ]
        rows.append([name, percent(within(task_results, 1)), *gaps, *_took(took.get(name, ()))])
    tasks = len(by_recipe[weights.BASE])
    figures.table(
        [
            *("weights", f"solved, {tasks} tasks"),
            *(f"above {name}" for name in against.values()),
            *("rows", "steps", "seconds", "peak MB"),
        ],
        rows,
    )


async def _world(figures: FineTuneFigures, world: str) -> tuple[list[TaskResult], weights.Results]:
    folder = figures.folder / f"weights-{world}"
    demo = Demo(
        fine_tuning_workspace(figures.workspace, folder / "weights"),
        folder,
        world,
        max(1, figures.tasks // len(WORLDS) // len(SIZES)),
        trials=1,
        model=MODEL,
        seed=0,
        max_tokens=Context.max_tokens,
        exemplars=figures.successes,
        training=0,
        steps=figures.steps,
        fresh=figures.fresh,
    )
    nobody = Progress(disable=True)
    successes = await exemplars.practice(demo, nobody, figures.slots)
    results = await weights.run(demo, successes, nobody, figures.slots, RECIPES | CONTROLS)
    base: list[TaskResult] = []
    for size in SIZES:
        with journal.open_journal(
            demo.folder / f"base-{size}.jsonl", demo.plan("none", size)
        ) as record:
            base += await evaluate(demo.workspace, record, SilentListener(), figures.slots)
    return base, results


async def function_calls(figures: FineTuneFigures) -> None:
    """Write the table of function calls, with tools of domains that training does not have."""
    tuner = figures.fine_tuner("toolcalls", CLERK)
    ways = {SFT: None, SHUFFLED_LABELS: 0}

    async def tune(shuffle_seed: int | None) -> FineTune:
        return await tuner.tune(CALLS, await asyncio.to_thread(_call_dataset, tuner, shuffle_seed))

    fine_tunes = await asyncio.gather(*map(tune, ways.values()))
    took = {name: [each] for name, each in zip(ways, fine_tunes, strict=True)}
    marks = {weights.BASE: await _marks(figures, tuner, "")}
    for name, each in zip(ways, fine_tunes, strict=True):
        marks[name] = await _marks(figures, tuner, each.adapter)
    _tell(figures, marks, took)


def _tell(
    figures: FineTuneFigures, marks: dict[str, list[Marks]], took: dict[str, list[FineTune]]
) -> None:
    """Write how many turns are right, and the differences to the others.

    A model that never calls a tool is right if no call is needed, so it also has a row.
    """
    needs = [one.needs_call for one in marks[weights.BASE]]
    never = [
        Marks(need, valid=True, has_call=False, functions=not need, right=not need)
        for need in needs
    ]
    right = {name: [one.right for one in each] for name, each in (marks | {NEVER: never}).items()}
    functions = {
        name: [one.functions for one in each if one.needs_call] for name, each in marks.items()
    }
    against = {weights.BASE: "base", SHUFFLED_LABELS: "shuffled", NEVER: NEVER}
    figures.say("", "## Function calls with held-out tools", "")
    figures.say(
        "The first turn at each test request, in %. A third of the requests need no tool. Trained "
        f"on {CONVERSATIONS:,} conversations with sampled or mixed tools, and on the requests of "
        "the training split."
    )
    rows = [
        [
            name,
            *_shares(metrics(each)),
            percent(rate(sum(right[name]), len(each))),
            *_gaps(right, name, against),
            *_took(took.get(name, ())),
        ]
        for name, each in (marks | {NEVER: never}).items()
    ]
    figures.table(
        [
            *("weights", "calls", "arguments", "no call", "form"),
            *(f"all right, {len(needs)} requests", *(f"above {one}" for one in against.values())),
            *("rows", "steps", "seconds", "peak MB"),
        ],
        rows,
    )
    over_base, over_shuffled = (
        _gap(difference(functions[SFT], functions[name]))
        for name in (weights.BASE, SHUFFLED_LABELS)
    )
    figures.say(
        "",
        f"The right function, for the {sum(needs)} requests that need one, SFT above base: "
        f"{over_base}; above shuffled labels: {over_shuffled}.",
    )


def _gaps(series: dict[str, list[bool]], name: str, against: dict[str, str]) -> list[str]:
    """Return the differences of a tuned model to each of the others."""
    is_tuned = name in (SFT, SHUFFLED_LABELS)
    return [
        _gap(difference(series[name], series[other])) if is_tuned and name != other else ""
        for other in against
    ]


async def _marks(figures: FineTuneFigures, tuner: FineTuner, adapter: str) -> list[Marks]:
    """Let the model answer each test request, and return the marks of its first turns."""
    plan = checked_plan(
        tuner.workspace,
        environment="toolcalls",
        split="test",
        technique="none",
        model=tuner.model,
        adapter=adapter,
        trials=1,
        temperature=0.0,
        limit=figures.tasks,
    )
    name = adapter or weights.BASE
    with journal.open_journal(tuner.folder / f"{name}.jsonl", plan) as record:
        results = await evaluate(tuner.workspace, record, SilentListener(), figures.slots)
    every = Toolcalls()
    marks = []
    for result in results:
        answer = next(each for each in result.attempts[0].messages if each.type == "ai")
        tools = Toolcalls(result.task.environment.partition("/")[2]).tools
        marks.append(mark(text_of(answer), every.request(result.task.id).reference_calls, tools))
    return marks


def _call_dataset(tuner: FineTuner, shuffle_seed: int | None) -> Dataset:
    sampled = sampled_calls(CONVERSATIONS, shuffle_seed=shuffle_seed)
    examples = join_conversations(tool_calls(shuffle_seed=shuffle_seed)) + sampled
    return save(curate("sft", examples, Curation(share=0)), tuner.folder / "datasets")


async def vision(figures: FineTuneFigures) -> None:
    """Write the table of shapes in new images, by a tiny random vision model."""
    tuner = figures.fine_tuner("vision", f"local:{EYES}")
    changes = {"local_models": (tuner.folder / "models").resolve()}
    settings_here = tuner.workspace.settings.model_copy(update=changes)
    tuner = replace(tuner, workspace=Workspace(figures.workspace.data, settings=settings_here))
    base = tuner.folder / "models" / EYES
    if not (base / "config.json").is_file():
        await asyncio.to_thread(shape_images.eyes, base)
    data, images, shape_names = await asyncio.to_thread(_image_dataset, tuner.folder)
    settings = {"learning_rate": 5e-3, "batch": 16}
    fine_tune = await tuner.tune(Recipe("", "vision", share=5, settings=settings), data)
    merged_folder = tuner.folder / f"merged-{fine_tune.adapter}"
    if not merged_folder.is_dir():
        await asyncio.to_thread(
            tuner.workspace.adapters.export_merged, fine_tune.adapter, merged_folder
        )
    arms = {}
    for name, model in {weights.BASE: base, "vision sft": merged_folder}.items():
        answers = await asyncio.to_thread(shape_images.name_shapes, model, images)
        arms[name] = [one == other for one, other in zip(answers, shape_names, strict=True)]
    figures.say("", "## Shapes in images", "")
    figures.say(f"Which of {len(shape_images.SHAPES)} shapes an image shows, in %; new images.")
    plain = arms[weights.BASE]
    figures.table(
        [
            "weights",
            f"right, {len(shape_names)} images",
            "above base",
            "rows",
            "steps",
            "seconds",
            "MB",
        ],
        [
            [
                name,
                percent(rate(sum(right), len(right))),
                *(
                    (_gap(difference(right, plain)), *_took([fine_tune]))
                    if right is not plain
                    else [""] * 5
                ),
            ]
            for name, right in arms.items()
        ],
    )


def _image_dataset(folder: Path) -> tuple[Dataset, list[Path], list[str]]:
    """Draw the images; return the dataset, and the test images with their shapes."""
    train_rows, test_rows = (
        shape_images.labelled_images(folder / "images", count, seed)
        for seed, count in enumerate(IMAGES)
    )
    examples = [Example(row=row, task=row["image"], opening=row["image"]) for row in train_rows]
    files = {row["image"]: folder / "images" / row["image"] for row in train_rows}
    dataset = curate("vision", examples, Curation(share=0), files=files)
    data = save(dataset, folder / "datasets")
    shape_names = [str(row["messages"][1]["content"]) for row in test_rows]
    return data, [folder / "images" / row["image"] for row in test_rows], shape_names


def _shares(scores: Metrics) -> list[str]:
    shares = (scores.calls, scores.arguments, scores.no_call, scores.format)
    return ["" if share is None else f"{100 * share:.1f}" for share in shares]


def _gap(gap: Difference) -> str:
    return f"{100 * gap.value:+.1f} ({100 * gap.low:+.0f} to {100 * gap.high:+.0f})"


def _took(fine_tunes: Sequence[FineTune]) -> list[str]:
    """Return the cost of fine-tunes, the maximum of several."""
    if not fine_tunes:
        return [""] * 4
    most = [max(each) for each in zip(*(one[1:] for one in fine_tunes), strict=True)]
    return [f"{number:,.0f}" for number in most]


PARTS: Final[dict[str, Callable[[FineTuneFigures], Awaitable[None]]]] = {
    "household": household,
    "toolcalls": function_calls,
    "vision": vision,
}


async def _all(figures: FineTuneFigures, parts: Sequence[str]) -> None:
    for name in parts:
        await PARTS[name](figures)


def main() -> None:
    """Train, measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--tasks", type=int, default=480, help="unseen tasks for each table, at most"
    )
    parser.add_argument(
        "--successes", type=int, default=48, help="shown in practice, in each world"
    )
    parser.add_argument(
        "--steps", type=int, default=120, help="weight updates of supervised fine-tuning"
    )
    parser.add_argument(
        "--fresh", type=int, default=2000, help="tasks for the model's own attempts, in each world"
    )
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--runs", type=Path, default=Path("runs/tuning"))
    parser.add_argument("--out", type=Path, help="also write the tables to this file")
    options = parser.parse_args()
    figures = FineTuneFigures(
        options.runs,
        options.tasks,
        options.concurrency,
        options.successes,
        options.steps,
        options.fresh,
    )
    event_loop.run(_all(figures, options.only))
    if options.out:
        options.out.write_text("\n".join(figures.lines) + "\n")


if __name__ == "__main__":
    main()
