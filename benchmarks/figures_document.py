"""The document that figures are collected in, and the evaluations behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from langchain_core.runnables import RunnableConfig

from apprentice.cli import evaluation, journal
from apprentice.cli.journal import Finished, Plan
from apprentice.cli.techniques import TECHNIQUES, TechniqueName
from apprentice.graphs import episode
from apprentice.state.context import Context
from apprentice.state.episode import EpisodeInput
from apprentice.state.nouns import Task
from apprentice.state.prompts import Shown
from apprentice.state.statistics import Rate
from apprentice.workspace import Workspace

MODEL: Final = "local:novice"
WORLDS: Final = ("north", "south")
RECURSION: Final = RunnableConfig(recursion_limit=1000)


class Unwatched:
    """Nobody follows the evaluation; it is a `Watch`."""

    def begin(self, total: int, finished: Sequence[Finished]) -> None:
        """Say nothing."""

    def attempt(self) -> None:
        """Say nothing."""

    def finish(self, done: Finished) -> None:
        """Say nothing."""

    def study(self, event: Mapping[str, Any]) -> None:
        """Say nothing."""


class Figures:
    """Runs evaluations and collects the document's lines."""

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
        self.gate = asyncio.Semaphore(concurrency)
        self.lines: list[str] = []

    def say(self, *lines: str) -> None:
        """Add lines to the document and print them."""
        self.lines += lines
        print(*lines, sep="\n", flush=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table."""
        self.say("", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}")
        self.say(*(f"| {' | '.join(row)} |" for row in rows))

    async def evaluated(
        self,
        where: str,
        split: str,
        technique: TechniqueName,
        trials: int,
        limit: int,
        donors: Sequence[Finished] = (),
    ) -> list[Finished]:
        """Return the evaluation's outcome, run now or earlier."""
        chosen = TECHNIQUES[technique]
        plan = Plan(
            environment=where,
            split=split,
            technique=technique,
            model=MODEL,
            trials=trials,
            temperature=chosen.temperature,
            limit=limit,
            donors="reflexion" if chosen.borrows else "",
        )
        name = f"{where}-{split}-{technique}-{trials}".replace("/", "-")
        with journal.opened(self.folder / f"{name}.jsonl", plan) as kept:
            return await evaluation.evaluate(self.workspace, kept, Unwatched(), self.gate, donors)

    async def shown(self, tasks: Sequence[Task], shown: Sequence[Shown]) -> list[bool]:
        """Attempt each task once with something in view; return which were solved."""

        graph = episode.build(workspace=self.workspace).compile(name="episode")

        async def one(task: Task, view: Shown) -> bool:
            async with self.gate:
                given = EpisodeInput(task=task, shown=view)
                ended = await graph.ainvoke(given, RECURSION, context=Context(model=MODEL))
                return bool(ended["verdict"].success)

        return list(await asyncio.gather(*map(one, tasks, shown)))


def percent(share: Rate) -> str:
    """Write a share with its interval."""
    return f"{100 * share.value:.1f} ({100 * share.low:.0f} to {100 * share.high:.0f})"
