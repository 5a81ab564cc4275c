"""watch: look at the job once, or follow it to its end."""

from __future__ import annotations

import asyncio
from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from apprentice.nodes import Node
from apprentice.nodes.training.rounds import Jobs, end_as_failed, rounds_of
from apprentice.state.context import Context
from apprentice.state.training import TrainingState, TrainingUpdate
from apprentice.training.jobs import Launcher, Status, follow
from apprentice.workspace import Workspace

Next = Literal["launch", "evaluate", "__end__"]


def watch_with(jobs: Jobs, workspace: Workspace) -> Node[TrainingState, Command[Next]]:
    """Return the node that looks at the job once; a run that follows looks until the job ends."""

    async def watch(state: TrainingState, runtime: Runtime[Context]) -> Command[Next]:
        """Report how far the job is, and go on if it has ended."""
        await workspace.ready()

        launcher = jobs()

        async def look() -> Status:
            return await _look(launcher, state, runtime)

        status = await look()
        if state.follow_job and (state.job_launched or status.alive):
            async for status in follow(look, launcher):  # noqa: B007 - the last one counts
                pass
        update: TrainingUpdate = {"progress": status.latest, "stage": "training"}
        if status.stage == "done":
            return Command(update=update, goto="evaluate")
        if status.stage == "failed":
            reason = str(status.outcome.get("error", "The job failed and left no reason."))
            rounds = rounds_of(runtime, state.environment, workspace)
            end_update = await end_as_failed(runtime, rounds, state.number, state.job, reason)
            return Command(update={**update, **end_update}, goto="__end__")
        if not (state.job_launched or status.alive):
            return Command(update=update, goto="launch")
        update["reason"] = f"The job {state.job} is {status.stage}."
        return Command(update=update, goto="__end__")

    return watch


async def _look(launcher: Launcher, state: TrainingState, runtime: Runtime[Context]) -> Status:
    job_names = await asyncio.to_thread(launcher.jobs)
    if state.job not in job_names:  # the run was killed before it launched the job
        return Status(state.job, "waiting", {}, {})
    status = await asyncio.to_thread(launcher.look, state.job)
    event = {"type": "training.progress", "job": state.job, "stage": status.stage}
    runtime.stream_writer({**status.latest, **event})
    return status
