"""`apprentice learn`: the lessons, given side by side, and what is printed of them.

The first (`cli/learn.py`) is an agent that reflects, beside its controls; then come rules in two
worlds (`cli/worlds.py`), examples (`cli/exemplars.py`) and fine-tunes (`cli/weights.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.progress import Progress

from apprentice.cli import evaluation, event_loop, terminal
from apprentice.cli.demo import exemplars, report, rules, weights
from apprentice.cli.demo import reflexion as reflexion
from apprentice.cli.demo.fine_tunes import tuning_in
from apprentice.cli.demo.reflexion import Lesson
from apprentice.cli.exit_codes import Stop, ended, going_on
from apprentice.cli.options import (
    Concurrency,
    MaxTokens,
    Model,
    Seed,
    Training,
    Trials,
    current_workspace,
)
from apprentice.cli.output import write_json, write_text
from apprentice.state.context import Context
from apprentice.state.errors import ApprenticeError, BadInput


def learn(
    ctx: typer.Context,
    tasks: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Tasks of each size of room; a multiple of 6 is balanced."
        ),
    ] = 24,
    trials: Trials = 4,
    model: Model = "local:novice",
    world: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Whose conventions hold: north, south, alfworld, or w and a seed.",
        ),
    ] = "north",
    seed: Seed = 0,
    max_tokens: MaxTokens = Context.max_tokens,
    successes: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=10_000,
            help="Solved tasks recorded as exemplars, at most; 0 leaves them out.",
        ),
    ] = exemplars.LEVELS[-1],
    training: Training = evaluation.TRAINING,
    steps: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=100_000,
            help="Steps of a local model's imitation of what was practised; 0 leaves fine-tunes "
            "out, as --successes 0 does.",
        ),
    ] = weights.STEPS,
    name: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The folder under runs/; an interrupted run goes on under its name.",
        ),
    ] = "",
    concurrency: Concurrency = evaluation.CONCURRENCY,
) -> None:
    """Watch an agent learn by reflecting, by rules, by example and by fine-tuning; get a report.

    It acts in household tasks that it has never seen, beside controls that learn nothing.
    """
    folder = Path("runs") / (name or time.strftime("learn-%Y%m%d-%H%M%S"))
    if folder.parent != Path("runs") or folder.name in ("", ".", ".."):
        raise BadInput(f"{name!r} cannot name a folder under runs/. Use a plain name.")
    workspace = tuning_in(current_workspace(ctx), folder / "weights")
    lesson = Lesson(
        workspace,
        folder,
        world,
        tasks,
        trials,
        model,
        seed,
        max_tokens,
        successes,
        training,
        steps,
        weights.FRESH,
    )
    console = Console()
    with reflexion.opened(lesson) as journals, exemplars.opened(lesson) as levels:
        try:
            with terminal.following(console) as progress:
                gate = asyncio.Semaphore(concurrency)
                given = event_loop.run(_lessons(lesson, journals, levels, progress, gate))
        except (ApprenticeError, *Stop) as error:
            kept = sum(len(each.finished) for each in (*journals.values(), *levels.values()))
            again = f"`apprentice learn --name {folder.name}`, with the same options,"
            raise ended(error, going_on(kept, folder, again)) from error
    curve = exemplars.curve(given.exemplars, given.first[exemplars.NOTHING][exemplars.SIZE])
    arms = weights.arms(given.weights, reflexion.pooled(given.first)[exemplars.NOTHING])
    found = report.figures(lesson, given.first, curve, arms, rules.summed(given.worlds))
    write_text(folder / "report.html", report.html(lesson, given.first, found))
    write_json(folder / "report.json", report.as_json(lesson, given.first, found))
    _print(console, lesson, found)
    for way, reason in given.weights.left_out.items():
        console.print(f"Not trained, {way}: {reason}", markup=False)
    console.print(f"Report: {folder / 'report.html'}", soft_wrap=True)
    own = folder / f"{reflexion.LEARNER}-{reflexion.SIZES[0]}.jsonl"
    console.print(f"Attempts: apprentice show {own}", soft_wrap=True)


def _print(console: Console, lesson: Lesson, found: report.Figures) -> None:
    """Print the figures, a table a lesson."""
    title = f"household/{lesson.world}, small and medium, {lesson.model}"
    console.print(terminal.by_trial(title, found.summaries))
    for control, gap in found.differences.items():
        console.print(f"After trial {found.trial}, against {control}: {terminal.points(gap)}")
    if curve := found.exemplars:
        console.print(terminal.by_level("First attempts, by recorded successes in memory", curve))
        for control, gap in curve.differences.items():
            console.print(f"At {curve.levels[-1]}, against {control}: {terminal.points(gap)}")
    if found.rules and not found.released:
        console.print(f"Learned rules: {report.UNRELEASED}")
    elif found.rules:
        console.print(f"Learned rules alone, against none: {terminal.points(found.rules)}")
    if found.worlds:
        console.print(terminal.by_rules("First attempts, by the rules in view", found.worlds))
        for world, released in found.worlds.learned.items():
            if not released:
                console.print(f"Learned rules, {world}: none passed the gate on held-out tasks.")
        for other, gap in found.worlds.differences.items():
            console.print(f"Learned rules, against {other} ones: {terminal.points(gap)}")
    if found.weights:
        console.print(
            terminal.by_weights("First attempts, after fine-tunes on practice", found.weights)
        )


class _Given(NamedTuple):
    """What came of each lesson."""

    first: reflexion.Results
    worlds: rules.Results
    exemplars: exemplars.Results
    weights: weights.Results


async def _lessons(
    lesson: Lesson,
    journals: reflexion.Journals,
    levels: exemplars.Journals,
    progress: Progress,
    gate: asyncio.Semaphore,
) -> _Given:
    """Give the lessons side by side: rules go on from the first, the last two share practice."""

    async def ruled() -> tuple[reflexion.Results, rules.Results]:
        first = await reflexion.run(lesson, journals, progress, gate)
        return first, await rules.run(lesson, journals, first, progress, gate)

    async def practised() -> list[Any]:
        known = await exemplars.practice(lesson, progress, gate)
        jobs: list[Coroutine[Any, Any, Any]] = [
            exemplars.run(lesson, levels, known, progress, gate),
            weights.run(lesson, known, progress, gate),
        ]
        return await evaluation.together(jobs)

    jobs: list[Coroutine[Any, Any, Any]] = [ruled(), practised()]
    (first, worlds), (shown, tuned) = await evaluation.together(jobs)
    return _Given(first, worlds, shown, tuned)
