"""What the steps of training share: where rounds are kept, and what is remembered to learn from."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from langgraph.runtime import Runtime

from apprentice.environments.registry import covers
from apprentice.memory.experience import OpenExperience
from apprentice.models.names import LocalModels
from apprentice.nodes.kept import releases_of
from apprentice.state.context import Context
from apprentice.state.errors import BadInput, BrokenData, MissingPart
from apprentice.state.experience import StoredAttempt
from apprentice.state.nouns import Trajectory
from apprentice.state.training import TrainingState, TrainingUpdate
from apprentice.training.datasets.episodes import unusable
from apprentice.training.jobs import Job, Launcher
from apprentice.training.rounds import End, Round, Rounds
from apprentice.training.settings import read_settings
from apprentice.workspace import LOCAL, Workspace

LASTING: Final = (BadInput, MissingPart, BrokenData)
"""Errors that the next look would meet again: they end a round, which `again` takes up."""
TRIES: Final = 10
PAUSE: Final = 0.1
"""Seconds between two tries to claim a round that another holds."""

Jobs = Callable[[], Launcher]
"""Gives the launcher: when a step runs, not when its graph is built."""


class Judged(NamedTuple):
    """An attempt to learn from, with its latest verdict, and when that was given."""

    attempt: Trajectory
    at: float


def base_of(context: Context) -> str:
    """Return the plain name of a run's local model; '' when its model is hosted."""
    return context.model.removeprefix(LOCAL) if context.model.startswith(LOCAL) else ""


def rounds_of(runtime: Runtime[Context], environment: str, workspace: Workspace) -> Rounds:
    """Return the rounds of a run's tenant and model in an environment."""
    context = workspace.resolved(Context.of(runtime))
    return workspace.rounds(context.tenant, environment, base_of(context))


def dataset_folder(rounds: Rounds, state: TrainingState | Round) -> Path:
    """Return the folder of the dataset in hand."""
    return rounds.datasets / state.dataset


def job_of(begun: Round, rounds: Rounds, models: LocalModels) -> Job:
    """Return the job of a round, as its dataset and its base are now; blocks.

    Raises:
        MissingPart: the dataset is gone.
        BrokenData: it was changed.
        UnknownName: the base is not offered here any more.
    """
    settings = read_settings(begun.settings)
    return Job.of(dataset_folder(rounds, begun), settings, models, rounds.tenant)


async def given_up(
    runtime: Runtime[Context], rounds: Rounds, number: int, job: str, reason: str
) -> TrainingUpdate:
    """End a round that cannot be gone on with; what is in force stays."""
    how = End(outcome="failed", reason=reason, at=time.time())
    how = await asyncio.to_thread(rounds.end, number, how)
    runtime.stream_writer({"type": f"training.{how.outcome}", "job": job, "reason": how.reason})
    return {"stage": how.outcome, "reason": how.reason}


async def incumbent(state: TrainingState, runtime: Runtime[Context]) -> str:
    """Return the adapter in force, or the one before it where that is the round's own; '' for none.

    So a run that was ended between its release and its last word finds what it was compared with.
    """
    releases = releases_of(runtime, state.environment)
    release = await releases.current()
    while release and state.adapter and release.adapter == state.adapter:
        release = await releases.get(release.base) if release.base else None
    return release.adapter if release and release.model == f"{LOCAL}{state.base}" else ""


@asynccontextmanager
async def claimed(rounds: Rounds, state: TrainingState) -> AsyncIterator[TrainingUpdate]:
    """Hold a round, so that no other run acts on it; yield what to say where one does, or has."""
    claim = await asyncio.to_thread(rounds.claim, state.number)
    tries = 1
    while claim is None and tries < TRIES:  # whoever only looks at it lets go at once
        await asyncio.sleep(PAUSE)
        claim = await asyncio.to_thread(rounds.claim, state.number)
        tries += 1
    try:
        if end := await asyncio.to_thread(rounds.end_of, state.number):
            yield {"stage": end.outcome, "reason": end.reason, "decisions": end.decisions}
        elif claim is None:
            yield {"reason": f"{state.adapter} is being evaluated by another run."}
        else:
            yield {}
    finally:
        if claim:
            claim.close()


async def remembered(recall_from: OpenExperience, tenant: str, environment: str) -> list[Judged]:
    """Return what can be learned from in an environment, by id: the judged attempts at its tasks.

    Attempts on held-out splits come along, because what they open with must not be trained on.
    """
    kept = await recall_from(tenant)
    found = [
        _judged(one)
        async for one in kept.browse()
        if covers(environment, one.trajectory.task.environment)
    ]
    return sorted(found, key=lambda judged: judged.attempt.id)


def usable(judged: list[Judged]) -> list[Judged]:
    """Return those that something can be learned from."""
    return [one for one in judged if not unusable(one.attempt)]


def _judged(one: StoredAttempt) -> Judged:
    at = one.verdicts[-1].at if one.verdicts else one.trajectory.ended_at
    return Judged(one.trajectory, at or 0.0)
