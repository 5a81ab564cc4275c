"""launch: begin a round, and start its job in a process of its own."""

from __future__ import annotations

import asyncio
import time
from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from apprentice.models.names import LocalModels
from apprentice.nodes import Node
from apprentice.nodes.training.rounds import (
    LASTING_ERRORS,
    Jobs,
    dataset_folder,
    end_as_failed,
    incumbent,
    job_of,
    rounds_of,
)
from apprentice.nodes.training.survey import update_from
from apprentice.state.context import Context
from apprentice.state.errors import BrokenData
from apprentice.state.training import TrainingState
from apprentice.training.jobs import Job
from apprentice.training.rounds import Round, Rounds
from apprentice.training.settings import own_settings, read_settings
from apprentice.workspace import Workspace

Next = Literal["watch", "evaluate", "__end__"]


def launch_with(jobs: Jobs, workspace: Workspace) -> Node[TrainingState, Command[Next]]:
    """Return the node that launches the job; a round has one job, however often the node runs."""

    async def launch(state: TrainingState, runtime: Runtime[Context]) -> Command[Next]:
        """Begin the round if it has not begun, and start its job if it does not run."""
        await workspace.ready()
        rounds = rounds_of(runtime, state.environment, workspace)
        parent = await incumbent(state, runtime)
        training_round = await asyncio.to_thread(
            _begin, state, rounds, parent, workspace.local_models
        )
        round_update = update_from(training_round, state.other_environments)
        try:
            job = await asyncio.to_thread(
                _unchanged_job, training_round, rounds, workspace.local_models
            )
            # Another run may have ended the round meanwhile.
            if await asyncio.to_thread(rounds.end_of, training_round.number):
                return Command(update=round_update, goto="evaluate")
            await asyncio.to_thread(jobs().launch, job)
        except LASTING_ERRORS as error:
            end_update = await end_as_failed(
                runtime, rounds, training_round.number, training_round.job, str(error)
            )
            return Command(update={**round_update, **end_update}, goto="__end__")
        runtime.stream_writer(
            {
                "type": "training.launched",
                "job": training_round.job,
                "method": training_round.method,
            }
        )
        return Command(update={**round_update, "job_launched": True}, goto="watch")

    return launch


def _unchanged_job(training_round: Round, rounds: Rounds, models: LocalModels) -> Job:
    """Return the job of a round if it is still the one that the round began with; blocks."""
    job = job_of(training_round, rounds, models)
    if job.id != training_round.job:
        raise BrokenData(
            f"Job {training_round.job} is not the one that its round began with: local:"
            f"{training_round.base} has other weights now, or jobs have other settings. Start "
            'the run again with "again": true to train on the same dataset.'
        )
    return job


def _begin(state: TrainingState, rounds: Rounds, parent: str, models: LocalModels) -> Round:
    """Return the run's round; begin it if it has not begun. Blocks on files."""
    if training_round := rounds.find(state.number):
        return training_round
    if state.advice is None or state.advice.method is None:
        raise BrokenData("A round needs advice to begin, and there is none. Start the run again.")
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
