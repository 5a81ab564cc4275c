"""Runs the expel graph for the command line. A run can be resumed by its name."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.store.base import BaseStore
from langgraph.types import Command
from rich.progress import Progress, TaskID

from apprentice.cli.plural import plural
from apprentice.graphs import expel
from apprentice.memory.checkpoints import CheckpointSerializer
from apprentice.memory.experience import OpenExperience
from apprentice.state.context import Context
from apprentice.state.critique import CHUNK
from apprentice.state.expel import ExpelInput
from apprentice.state.trajectory import digest
from apprentice.workspace import Workspace


@dataclass(frozen=True)
class ExpelRun:
    """The settings of one run of expel.

    Attributes:
        tasks: training tasks to attempt.
        held_out: the most held-out tasks for the gate.
        run: the run's name; an interrupted run continues under the same name.
        review: whether a person decides on each change.
        chunk: successes that the critic reads together.
    """

    environment: str
    tasks: int
    held_out: int
    run: str
    review: bool = False
    chunk: int = CHUNK

    def graph_input(self) -> ExpelInput:
        """Return the graph's input."""
        return {
            "environment": self.environment,
            "tasks": self.tasks,
            "held_out": self.held_out,
            "chunk": self.chunk,
            "review": self.review,
            "run": self.run,
        }


class Listener(Protocol):
    """Receives the events of a run."""

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Receive one `expel.*` event."""


@dataclass(frozen=True)
class Question:
    """The question to a person before a run continues: changes and quarantined operations."""

    content: Mapping[str, Any]


async def run_expel(
    workspace: Workspace,
    run_settings: ExpelRun,
    context: Context,
    store: BaseStore,
    *,
    listener: Listener,
    reply: object = None,
    concurrency: int = expel.CONCURRENCY,
    record_to: OpenExperience | None = None,
) -> dict[str, Any] | Question:
    """Start or continue a run; return its final state, or a question to a person.

    Args:
        workspace: has the environment, the models and the data folder.
        run_settings: what to learn from.
        context: the settings of the graph.
        store: stores the rules.
        listener: receives the events.
        reply: a person's answer to the question of the last call.
        concurrency: parallel tasks.
        record_to: opens the memory in which training attempts are recorded; None for no memory.
    """
    name = digest(context.tenant, run_settings.environment, run_settings.run)
    config = RunnableConfig(configurable={"thread_id": name}, max_concurrency=concurrency)
    folder = workspace.data / "checkpoints" / name
    async with _checkpoints(folder) as saver:
        builder = expel.build(workspace=workspace, record_to=record_to)
        graph = builder.compile(name="expel", checkpointer=saver, store=store)
        earlier = await graph.aget_state(config)
        inputs: Any = None if earlier.next else run_settings.graph_input()
        if reply is not None:
            inputs = Command(resume=reply)
        async for event in graph.astream(inputs, config, context=context, stream_mode="custom"):
            listener(cast("Mapping[str, Any]", event))
        final = await graph.aget_state(config)
    if final.interrupts:
        return Question(final.interrupts[0].value)
    await asyncio.to_thread(shutil.rmtree, folder)  # a finished run needs no checkpoints
    return dict(final.values)


@asynccontextmanager
async def _checkpoints(folder: Path) -> AsyncIterator[AsyncSqliteSaver]:
    """Open the checkpoints of one run.

    Each run has a file of its own, because SQLite lets only one connection write at a time and a
    run that waits for another would time out.
    """
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    async with AsyncSqliteSaver.from_conn_string(str(folder / "run.sqlite")) as saver:
        saver.serde = CheckpointSerializer()
        yield saver


class Stages:
    """Shows the stages of a run in a progress display, a line each. It is a `Listener`."""

    def __init__(self, progress: Progress, name: str, held_out: int) -> None:
        self._progress = progress
        self._name = name
        self._held_out = held_out
        self._lines: dict[str, TaskID] = {}
        self._counts: Counter[str] = Counter()

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Show an event."""
        counts = self._counts
        match event["type"]:
            case "expel.started":
                self._begin("training tasks", event["tasks"])
            case "expel.extracted":
                self._begin("pieces of evidence", event["pairs"] + event["chunks"])
            case "expel.proposed":
                self._begin("held-out tasks", self._held_out)
            case "expel.gathered":
                counts["solved"] += event["outcome"] == "solved"
                counts["attempts"] += event["trials"]
                attempts = plural(counts["attempts"], "attempt")
                status = f"[green]{counts['solved']} solved[/], {attempts}"
                self._advance("training tasks", status)
            case "expel.curated":
                self._advance("pieces of evidence", f"{plural(event['rules'], 'rule')} drafted")
            case "expel.compared":
                counts["now"] += event["incumbent"]
                counts["then"] += event["candidate"]
                status = (
                    f"[green]{counts['then']} solved[/], {counts['now']} with the released rules"
                )
                self._advance("held-out tasks", status)

    def _begin(self, stage: str, total: int) -> None:
        if total and stage not in self._lines:
            line = f"{self._name}, {stage}"
            self._lines[stage] = self._progress.add_task(line, total=total, status="")

    def _advance(self, stage: str, status: str) -> None:
        self._begin(stage, 1)
        self._progress.update(self._lines[stage], advance=1, status=status)
