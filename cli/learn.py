"""`apprentice learn`: runs the four experiments of `cli/demo` and prints their figures.

They are an agent that reflects and its controls (`reflexion.py`), rules in two worlds (`rules.py`),
exemplars (`exemplars.py`) and fine-tunes (`weights.py`).
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
from apprentice.cli.demo import exemplars, fine_tuner, reflexion, report, rules, weights
from apprentice.cli.demo.reflexion import Demo
from apprentice.cli.exit_codes import Stop, exit_with, resume_hint
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
            metavar="N",
            min=1,
            help="Tasks for each size of room; a multiple of 6 balances the kinds.",
        ),
    ] = 24,
    trials: Trials = 4,
    model: Model = "local:novice",
    world: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The world: north, south, alfworld, or w and a seed.",
        ),
    ] = "north",
    seed: Seed = 0,
    max_tokens: MaxTokens = Context.max_tokens,
    exemplar_count: Annotated[
        int,
        typer.Option(
            "--exemplars",
            metavar="N",
            min=0,
            max=10_000,
            help="Solved tasks to record as exemplars, at most; 0 for none.",
        ),
    ] = exemplars.LEVELS[-1],
    training: Training = evaluation.TRAINING,
    steps: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=100_000,
            help="Steps of supervised fine-tuning, for a local model; 0 or --exemplars 0 for no "
            "fine-tunes.",
        ),
    ] = weights.STEPS,
    name: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The folder under runs/; it continues an interrupted run.",
        ),
    ] = "",
    concurrency: Concurrency = evaluation.CONCURRENCY,
    fresh: Annotated[int, typer.Option(hidden=True)] = weights.FRESH,
    draws: Annotated[int, typer.Option(hidden=True)] = reflexion.DRAWS,
    rows: Annotated[int, typer.Option(hidden=True)] = fine_tuner.ROWS,
) -> None:
    """Show an agent that learns from reflections, rules, exemplars and fine-tuning.

    It attempts household tasks that it has never seen. Controls attempt the same tasks without
    learning. The result is a report.
    """
    folder = Path("runs") / (name or time.strftime("learn-%Y%m%d-%H%M%S"))
    if folder.parent != Path("runs") or folder.name in ("", ".", ".."):
        raise BadInput(f"{name!r} cannot name a folder under runs/. Use a plain name.")
    workspace = fine_tuner.fine_tuning_workspace(current_workspace(ctx), folder / "weights")
    demo = Demo(
        workspace,
        folder,
        world,
        tasks,
        trials,
        model,
        seed,
        max_tokens,
        exemplar_count,
        training,
        steps,
        fresh,
        draws,
        rows,
    )
    console = Console()
    with reflexion.open_journals(demo) as journals, exemplars.open_journals(demo) as levels:
        try:
            with terminal.live_progress(console) as progress:
                slots = asyncio.Semaphore(concurrency)
                results = event_loop.run(_run(demo, journals, levels, progress, slots))
        except (ApprenticeError, *Stop) as error:
            count = sum(len(each.results) for each in (*journals.values(), *levels.values()))
            command = f"`apprentice learn --name {folder.name}`, with the same options,"
            raise exit_with(error, resume_hint(count, folder, command)) from error
    curve = exemplars.curve(results.exemplars, results.first[exemplars.NOTHING][exemplars.SIZE])
    arms = weights.arms(results.weights, reflexion.pool_sizes(results.first)[exemplars.NOTHING])
    figures = report.figures(demo, results.first, curve, arms, rules.summarise(results.worlds))
    write_text(folder / "report.html", report.as_html(demo, results.first, figures))
    write_json(folder / "report.json", report.as_json(demo, results.first, figures))
    _print(console, demo, figures)
    for way, reason in results.weights.left_out.items():
        console.print(f"Not trained, {way}: {reason}", markup=False)
    console.print(f"Report: {folder / 'report.html'}", soft_wrap=True)
    own = folder / f"{reflexion.LEARNER}-{reflexion.SIZES[0]}.jsonl"
    console.print(f"Attempts: apprentice show {own}", soft_wrap=True)


def _print(console: Console, demo: Demo, figures: report.Figures) -> None:
    """Print the figures, a table for each experiment."""
    title = f"household/{demo.world}, small and medium, {demo.model}"
    console.print(terminal.by_trial(title, figures.summaries))
    for control, gap in figures.differences.items():
        console.print(f"After trial {figures.trial}, against {control}: {terminal.points(gap)}")
    if curve := figures.exemplars:
        console.print(terminal.by_level("First attempts, by recorded successes in memory", curve))
        for control, gap in curve.differences.items():
            console.print(f"At {curve.levels[-1]}, against {control}: {terminal.points(gap)}")
    if figures.rules and not figures.rules_released:
        console.print(f"Learned rules: {report.UNRELEASED}")
    elif figures.rules:
        console.print(f"Learned rules alone, against none: {terminal.points(figures.rules)}")
    if figures.worlds:
        console.print(terminal.by_rules("First attempts, by the rules in view", figures.worlds))
        for world, released_rules in figures.worlds.released_rules.items():
            if not released_rules:
                console.print(f"Learned rules, {world}: none passed the gate on held-out tasks.")
        for other, gap in figures.worlds.differences.items():
            console.print(f"Learned rules, against {other} ones: {terminal.points(gap)}")
    if figures.weights:
        console.print(
            terminal.by_weights("First attempts, after fine-tunes on practice", figures.weights)
        )


class _Results(NamedTuple):
    """The results of each experiment."""

    first: reflexion.Results
    worlds: rules.Results
    exemplars: exemplars.Results
    weights: weights.Results


async def _run(
    demo: Demo,
    journals: reflexion.Journals,
    levels: exemplars.Journals,
    progress: Progress,
    slots: asyncio.Semaphore,
) -> _Results:
    """Run the experiments in parallel: two use the reflexion results, two share a practice."""

    async def rules_part() -> tuple[reflexion.Results, rules.Results]:
        first = await reflexion.run(demo, journals, progress, slots)
        return first, await rules.run(demo, journals, first, progress, slots)

    async def practice_part() -> list[Any]:
        successes = await exemplars.practice(demo, progress, slots)
        jobs: list[Coroutine[Any, Any, Any]] = [
            exemplars.run(demo, levels, successes, progress, slots),
            weights.run(demo, successes, progress, slots),
        ]
        return await evaluation.together(jobs)

    jobs: list[Coroutine[Any, Any, Any]] = [rules_part(), practice_part()]
    (first, worlds), (exemplar_results, fine_tunes) = await evaluation.together(jobs)
    return _Results(first, worlds, exemplar_results, fine_tunes)
