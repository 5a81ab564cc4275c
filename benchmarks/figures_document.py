"""Runs the evaluations behind docs/figures.md and collects its lines."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from langchain_core.runnables import RunnableConfig

from apprentice.cli import evaluation, journal
from apprentice.cli.journal import Plan, TaskResult
from apprentice.cli.techniques import TECHNIQUES, TechniqueName
from apprentice.graphs import episode
from apprentice.state.context import Context
from apprentice.state.episode import EpisodeInput
from apprentice.state.prompts import Shown
from apprentice.state.statistics import Rate
from apprentice.state.trajectory import Task
from apprentice.workspace import Workspace

MODEL: Final = "local:novice"
WORLDS: Final = ("north", "south")
RECURSION: Final = RunnableConfig(recursion_limit=1000)


class SilentListener:
    """Ignores the progress of an evaluation. It is an `EvaluationListener`."""

    def begin(self, total: int, results: Sequence[TaskResult]) -> None:
        """Do nothing."""

    def attempt(self) -> None:
        """Do nothing."""

    def finish(self, result: TaskResult) -> None:
        """Do nothing."""

    def expel_event(self, event: Mapping[str, Any]) -> None:
        """Do nothing."""


class Figures:
    """Runs evaluations and collects the lines of the document."""

    def __init__(
        self,
        folder: Path,
        tasks: int,
        concurrency: int,
        repeats: int,
        training: int,
        model: str = MODEL,
        workspace: Workspace | None = None,
    ) -> None:
        self.workspace = workspace or Workspace(model=model)
        self.folder = folder
        self.training = training
        self.model = model
        self.tasks = tasks
        self.repeats = repeats
        self.slots = asyncio.Semaphore(concurrency)
        self.lines: list[str] = []

    def say(self, *lines: str) -> None:
        """Add lines to the document and print them."""
        self.lines += lines
        print(*lines, sep="\n", flush=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table."""
        self.say("", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}")
        self.say(*(f"| {' | '.join(row)} |" for row in rows))

    async def evaluate(
        self,
        where: str,
        split: str,
        technique: TechniqueName,
        trials: int,
        limit: int,
        donors: Sequence[TaskResult] = (),
    ) -> list[TaskResult]:
        """Return the results of an evaluation, from its journal if it was run before."""
        spec = TECHNIQUES[technique]
        plan = Plan(
            environment=where,
            split=split,
            technique=technique,
            model=MODEL,
            trials=trials,
            temperature=spec.temperature,
            limit=limit,
            donors="reflexion" if spec.borrows else "",
        )
        name = f"{where}-{split}-{technique}-{trials}".replace("/", "-")
        with journal.open_journal(self.folder / f"{name}.jsonl", plan) as record:
            return await evaluation.evaluate(
                self.workspace, record, SilentListener(), self.slots, donors
            )

    async def attempt_with(self, tasks: Sequence[Task], views: Sequence[Shown]) -> list[bool]:
        """Attempt each task once with its view; return whether each was solved."""

        graph = episode.build(workspace=self.workspace).compile(name="episode")

        async def one(task: Task, view: Shown) -> bool:
            async with self.slots:
                inputs = EpisodeInput(task=task, shown=view)
                values = await graph.ainvoke(inputs, RECURSION, context=Context(model=MODEL))
                return bool(values["verdict"].success)

        return list(await asyncio.gather(*map(one, tasks, views)))


def percent(share: Rate) -> str:
    """Return a share in % with its interval."""
    return f"{100 * share.value:.1f} ({100 * share.low:.0f} to {100 * share.high:.0f})"
