"""What fine-tuning brings on unseen tasks, and what it takes: `python -m benchmarks.fine_tunes`.

Three tables, each with 95 % intervals: household tasks by every method, beside the plain model and
a control on shuffled outcomes; function calls with held-out tools, beside shuffled labels; shapes
in images, before and after. Attempts, datasets and jobs lie under --runs: an interrupted
command goes on where it stopped, and a finished one is only summed up again.
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
from apprentice.cli.demo.fine_tunes import (
    CONTROL,
    CONTROLS,
    SFT,
    WAYS,
    Tuned,
    Way,
    Workshop,
    tuning_in,
)
from apprentice.cli.demo.reflexion import SIZES, Lesson
from apprentice.cli.evaluation import evaluate, planned
from apprentice.cli.journal import Finished
from apprentice.cli.summary import compare, within
from apprentice.environments.toolcalls.calls import Marks, Metrics, mark, metrics
from apprentice.environments.toolcalls.environment import Toolcalls
from apprentice.models import names
from apprentice.state.context import Context
from apprentice.state.nouns import text_of
from apprentice.state.statistics import Difference, difference, rate
from apprentice.training.datasets.card import Dataset, Example, save
from apprentice.training.datasets.curation import Curation, curate
from apprentice.training.datasets.demonstrations import (
    join_conversations,
    sampled_calls,
    tool_calls,
)
from apprentice.workspace import Workspace
from benchmarks import shape_images
from benchmarks.figures_document import MODEL, WORLDS, Figures, Unwatched, percent

SHUFFLED: Final = "sft, shuffled labels"
EYES: Final = "eyes"
CLERK: Final = f"local:{names.CLERK}"
CALLING: Final = Way(
    "imitates ideal turns, with other tools together in each conversation",
    "sft",
    share=2,
    settings={"rank": 32, "alpha": 64, "learning_rate": 8e-4, "batch": 4},
)
CONVERSATIONS: Final = 600
NEVER: Final = "never calling"
IMAGES: Final = (256, 96)
"""To learn from, and to be tried on."""


class Study(Figures):
    """Figures of fine-tunes.

    Args:
        successes: solved training tasks a world that examples are taken from.
        steps: of each imitation.
        fresh: further training tasks a world, which the imitator attempts by itself.
    """

    def __init__(
        self, folder: Path, tasks: int, concurrency: int, successes: int, steps: int, fresh: int
    ) -> None:
        super().__init__(folder, tasks, concurrency, repeats=1, training=0)
        self.successes = successes
        self.steps = steps
        self.fresh = fresh

    def workshop(self, name: str, model: str = MODEL) -> Workshop:
        """Return where fine-tunes of that name are made."""
        folder = self.folder / name
        return Workshop(tuning_in(self.workspace, folder), folder, model, self.steps)


async def household(study: Study) -> None:
    """Every method on household tasks of both worlds, each world's adapters on its own tasks."""
    found: dict[str, list[Finished]] = {weights.BASE: []}
    took: dict[str, list[Tuned]] = {}
    for world in WORLDS:
        base, results = await _world(study, world)
        found[weights.BASE] += base
        for name, each in results.tried.items():
            found.setdefault(name, []).extend(each.finished)
            took.setdefault(name, []).append(each.tuned)
    study.say("", "## Practice moved into the weights", "")
    study.say(
        "First attempts at household test tasks with nothing in view, in %; practice with "
        f"{study.successes} solved training tasks to show, in small rooms, then with {study.fresh} "
        f"fresh ones; worlds {' and '.join(WORLDS)}, small and medium rooms. Rows, time and "
        "memory: a world's."
    )
    against = {weights.BASE: "base", CONTROL: "control", SFT: "sft"}
    rows = []
    for name, done in found.items():
        gaps = [
            _gap(compare(done, found[other], 1)) if name not in (weights.BASE, other) else ""
            for other in against
        ]
        rows.append([name, percent(within(done, 1)), *gaps, *_took(took.get(name, ()))])
    tasks = len(found[weights.BASE])
    study.table(
        [
            *("weights", f"solved, {tasks} tasks"),
            *(f"above {name}" for name in against.values()),
            *("rows", "steps", "seconds", "peak MB"),
        ],
        rows,
    )


async def _world(study: Study, world: str) -> tuple[list[Finished], weights.Results]:
    folder = study.folder / f"weights-{world}"
    lesson = Lesson(
        tuning_in(study.workspace, folder / "weights"),
        folder,
        world,
        max(1, study.tasks // len(WORLDS) // len(SIZES)),
        trials=1,
        model=MODEL,
        seed=0,
        max_tokens=Context.max_tokens,
        successes=study.successes,
        training=0,
        steps=study.steps,
        fresh=study.fresh,
    )
    nobody = Progress(disable=True)
    known = await exemplars.practice(lesson, nobody, study.gate)
    results = await weights.run(lesson, known, nobody, study.gate, WAYS | CONTROLS)
    base: list[Finished] = []
    for size in SIZES:
        with journal.opened(
            lesson.folder / f"base-{size}.jsonl", lesson.plan("none", size)
        ) as kept:
            base += await evaluate(lesson.workspace, kept, Unwatched(), study.gate)
    return base, results


async def function_calls(study: Study) -> None:
    """Function calls with tools of domains that training never sees."""
    shop = study.workshop("toolcalls", CLERK)
    ways = {SFT: None, SHUFFLED: 0}

    async def taught(shuffled: int | None) -> Tuned:
        return await shop.tune(CALLING, await asyncio.to_thread(_demonstrated, shop, shuffled))

    tuned = await asyncio.gather(*map(taught, ways.values()))
    took = {name: [each] for name, each in zip(ways, tuned, strict=True)}
    marks = {weights.BASE: await _marks(study, shop, "")}
    for name, each in zip(ways, tuned, strict=True):
        marks[name] = await _marks(study, shop, each.adapter)
    _tell(study, marks, took)


def _tell(study: Study, marks: dict[str, list[Marks]], took: dict[str, list[Tuned]]) -> None:
    """Say how turns were marked, and how far that is above the others.

    A model that never called anything would be right where no call is wanted, so it has a row.
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
    against = {weights.BASE: "base", SHUFFLED: "shuffled", NEVER: NEVER}
    study.say("", "## Function calls with held-out tools", "")
    study.say(
        "The first turn at each test request, in %; a third of them call for no tool. Learned from "
        f"{CONVERSATIONS:,} conversations with drawn or mixed tools, and the requests of the "
        "training split."
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
    study.table(
        [
            *("weights", "calls", "arguments", "no call", "form"),
            *(f"all right, {len(needs)} requests", *(f"above {one}" for one in against.values())),
            *("rows", "steps", "seconds", "peak MB"),
        ],
        rows,
    )
    base, shuffled = (
        _gap(difference(functions[SFT], functions[name])) for name in (weights.BASE, SHUFFLED)
    )
    study.say(
        "",
        f"The right function of {sum(needs)} that a request needs, SFT above base: {base}; above "
        f"shuffled labels: {shuffled}.",
    )


def _gaps(series: dict[str, list[bool]], name: str, against: dict[str, str]) -> list[str]:
    """Write how far a tuned model is above each of the others."""
    tuned = name in (SFT, SHUFFLED)
    return [
        _gap(difference(series[name], series[other])) if tuned and name != other else ""
        for other in against
    ]


async def _marks(study: Study, shop: Workshop, adapter: str) -> list[Marks]:
    """Let the model answer each test request; mark its first turns."""
    plan = planned(
        shop.workspace,
        environment="toolcalls",
        split="test",
        technique="none",
        model=shop.model,
        adapter=adapter,
        trials=1,
        temperature=0.0,
        limit=study.tasks,
    )
    name = adapter or weights.BASE
    with journal.opened(shop.folder / f"{name}.jsonl", plan) as kept:
        finished = await evaluate(shop.workspace, kept, Unwatched(), study.gate)
    every = Toolcalls()
    found = []
    for done in finished:
        said = next(each for each in done.attempts[0].messages if each.type == "ai")
        tools = Toolcalls(done.task.environment.partition("/")[2]).tools
        found.append(mark(text_of(said), every.request(done.task.id).reference_calls, tools))
    return found


def _demonstrated(shop: Workshop, shuffled: int | None) -> Dataset:
    drawn = sampled_calls(CONVERSATIONS, shuffle_seed=shuffled)
    examples = join_conversations(tool_calls(shuffle_seed=shuffled)) + drawn
    return save(curate("sft", examples, Curation(share=0)), shop.folder / "datasets")


async def vision(study: Study) -> None:
    """Shapes in images never seen, by a tiny random model with eyes."""
    shop = study.workshop("vision", f"local:{EYES}")
    offered = {"local_models": (shop.folder / "models").resolve()}
    settings_here = shop.workspace.settings.model_copy(update=offered)
    shop = replace(shop, workspace=Workspace(study.workspace.data, settings=settings_here))
    base = shop.folder / "models" / EYES
    if not (base / "config.json").is_file():
        await asyncio.to_thread(shape_images.eyes, base)
    data, images, wanted = await asyncio.to_thread(_drawn, shop.folder)
    settings = {"learning_rate": 5e-3, "batch": 16}
    tuned = await shop.tune(Way("", "vision", share=5, settings=settings), data)
    merged = shop.folder / f"merged-{tuned.adapter}"
    if not merged.is_dir():
        await asyncio.to_thread(shop.workspace.adapters.export_merged, tuned.adapter, merged)
    arms = {}
    for name, model in {weights.BASE: base, "vision sft": merged}.items():
        said = await asyncio.to_thread(shape_images.named, model, images)
        arms[name] = [one == other for one, other in zip(said, wanted, strict=True)]
    study.say("", "## Shapes in images", "")
    study.say(f"Which of {len(shape_images.SHAPES)} shapes it is, in %; new images.")
    plain = arms[weights.BASE]
    study.table(
        ["weights", f"right, {len(wanted)} images", "above base", "rows", "steps", "seconds", "MB"],
        [
            [
                name,
                percent(rate(sum(right), len(right))),
                *(
                    (_gap(difference(right, plain)), *_took([tuned]))
                    if right is not plain
                    else [""] * 5
                ),
            ]
            for name, right in arms.items()
        ],
    )


def _drawn(folder: Path) -> tuple[Dataset, list[Path], list[str]]:
    """Draw images to learn from and others; return the dataset, and those with their shapes."""
    learned, new = (
        shape_images.labelled(folder / "images", count, seed) for seed, count in enumerate(IMAGES)
    )
    examples = [Example(row=row, task=row["image"], opening=row["image"]) for row in learned]
    files = {row["image"]: folder / "images" / row["image"] for row in learned}
    curated = curate("vision", examples, Curation(share=0), files=files)
    data = save(curated, folder / "datasets")
    wanted = [str(row["messages"][1]["content"]) for row in new]
    return data, [folder / "images" / row["image"] for row in new], wanted


def _shares(found: Metrics) -> list[str]:
    named = (found.calls, found.arguments, found.no_call, found.format)
    return ["" if share is None else f"{100 * share:.1f}" for share in named]


def _gap(gap: Difference) -> str:
    return f"{100 * gap.value:+.1f} ({100 * gap.low:+.0f} to {100 * gap.high:+.0f})"


def _took(tuned: Sequence[Tuned]) -> list[str]:
    """Write what fine-tunes took, the most of several."""
    if not tuned:
        return [""] * 4
    most = [max(each) for each in zip(*(one[1:] for one in tuned), strict=True)]
    return [f"{number:,.0f}" for number in most]


PARTS: Final[dict[str, Callable[[Study], Awaitable[None]]]] = {
    "household": household,
    "toolcalls": function_calls,
    "vision": vision,
}


async def _all(study: Study, parts: Sequence[str]) -> None:
    for name in parts:
        await PARTS[name](study)


def main() -> None:
    """Train, try out, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--tasks", type=int, default=480, help="unseen tasks a table, at most")
    parser.add_argument("--successes", type=int, default=48, help="shown in practice, a world")
    parser.add_argument("--steps", type=int, default=120, help="of each imitation")
    parser.add_argument("--fresh", type=int, default=2000, help="own attempts' tasks, a world")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--runs", type=Path, default=Path("runs/tuning"))
    parser.add_argument("--out", type=Path, help="also write the tables to this file")
    options = parser.parse_args()
    study = Study(
        options.runs,
        options.tasks,
        options.concurrency,
        options.successes,
        options.steps,
        options.fresh,
    )
    event_loop.run(_all(study, options.only))
    if options.out:
        options.out.write_text("\n".join(study.lines) + "\n")


if __name__ == "__main__":
    main()
