"""launch: a round is begun, and its job is started in a process of its own."""

from __future__ import annotations

import asyncio
import time
from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from apprentice.models.names import LocalModels
from apprentice.nodes import Node
from apprentice.nodes.training.survey import resumed
from apprentice.nodes.training.workshop import (
    LASTING,
    Jobs,
    dataset_folder,
    given_up,
    incumbent,
    job_of,
    rounds_of,
)
from apprentice.state.context import Context
from apprentice.state.errors import BrokenData
from apprentice.state.training import TrainingState
from apprentice.training.jobs import Job
from apprentice.training.rounds import Round, Rounds
from apprentice.training.settings import own_settings, read_settings
from apprentice.workspace import Workspace

Next = Literal["watch", "evaluate", "__end__"]


def launch_with(jobs: Jobs, workspace: Workspace) -> Node[TrainingState, Command[Next]]:
    """Return the node that launches; however often it runs, a round has one job."""

    async def launch(state: TrainingState, runtime: Runtime[Context]) -> Command[Next]:
        """Begin the round unless it is begun, and start its job unless it runs."""
        await workspace.ready()
        rounds = rounds_of(runtime, state.environment, workspace)
        parent = await incumbent(state, runtime)
        begun = await asyncio.to_thread(_begun, state, rounds, parent, workspace.local_models)
        known = resumed(begun, state.other_environments)
        try:
            job = await asyncio.to_thread(_same_job, begun, rounds, workspace.local_models)
            if await asyncio.to_thread(rounds.end_of, begun.number):  # by another run, meanwhile
                return Command(update=known, goto="evaluate")
            await asyncio.to_thread(jobs().launch, job)
        except LASTING as error:
            end_update = await given_up(runtime, rounds, begun.number, begun.job, str(error))
            return Command(update={**known, **end_update}, goto="__end__")
        runtime.stream_writer(
            {"type": "training.launched", "job": begun.job, "method": begun.method}
        )
        return Command(update={**known, "job_launched": True}, goto="watch")

    return launch


def _same_job(begun: Round, rounds: Rounds, models: LocalModels) -> Job:
    """Return the job that a round was begun with, if it is still the same; blocks."""
    job = job_of(begun, rounds, models)
    if job.id != begun.job:
        raise BrokenData(
            f"Job {begun.job} is not the one that its round was begun with any more: local:"
            f"{begun.base} has other weights now, or jobs have other settings. Ask with "
            '"again": true to train on the same dataset anew.'
        )
    return job


def _begun(state: TrainingState, rounds: Rounds, parent: str, models: LocalModels) -> Round:
    """Return the run's round; begin it unless it is begun. Blocks on files."""
    if begun := rounds.find(state.number):
        return begun
    if state.advice is None or state.advice.method is None:
        raise BrokenData("There is no advice to begin a round on. Start the run anew.")
    method = state.advice.method
    own = own_settings(method, state.job_settings)
    settings = {**own, "method": method, "base": state.base, "parent": parent}
    job = Job.of(dataset_folder(rounds, state), read_settings(settings), models, rounds.tenant)
    return rounds.begin(
        Round(
            number=state.number,
            tenant=rounds.tenant,
            environment=rounds.environment,
            base=state.base,
            method=method,
            dataset=state.dataset,
            settings=settings,
            job=job.id,
            adapter=job.adapter,
            advice=state.advice,
            kept=state.other_environments,
            seen=state.surveyed_until,
            begun=time.time(),
        )
    )
