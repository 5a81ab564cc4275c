"""Open a run's rounds of training, and hold, describe or end one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from langgraph.runtime import Runtime

from apprentice.models.names import LocalModels
from apprentice.nodes.stores import releases_of
from apprentice.state.context import Context
from apprentice.state.errors import BadInput, BrokenData, MissingPart
from apprentice.state.training import TrainingState, TrainingUpdate
from apprentice.training.jobs import Job, Launcher
from apprentice.training.rounds import End, Round, Rounds
from apprentice.training.settings import read_settings
from apprentice.workspace import LOCAL, Workspace

LASTING_ERRORS: Final = (BadInput, MissingPart, BrokenData)
"""Errors that would happen again: they end a round. A run with `again` takes up its job."""
TRIES: Final = 10
PAUSE: Final = 0.1
"""Seconds between two tries to claim a round that another run holds."""

Jobs = Callable[[], Launcher]
"""Returns the launcher when a step needs it, not when the graph is built."""


def base_of(context: Context) -> str:
    """Return the plain name of a run's local model; '' when its model is hosted."""
    return context.model.removeprefix(LOCAL) if context.model.startswith(LOCAL) else ""


def rounds_of(runtime: Runtime[Context], environment: str, workspace: Workspace) -> Rounds:
    """Return the rounds of a run's tenant and model in an environment."""
    context = workspace.with_model(Context.of(runtime))
    return workspace.rounds(context.tenant, environment, base_of(context))


def dataset_folder(rounds: Rounds, state: TrainingState | Round) -> Path:
    """Return the folder of a round's dataset."""
    return rounds.datasets / state.dataset


def job_of(training_round: Round, rounds: Rounds, models: LocalModels) -> Job:
    """Return the job of a round for its dataset and base as they are now; blocks on files.

    Raises:
        MissingPart: the dataset does not exist any more.
        BrokenData: the dataset was changed.
        UnknownName: the base model is not available any more.
    """
    settings = read_settings(training_round.settings)
    return Job.of(dataset_folder(rounds, training_round), settings, models, rounds.tenant)


async def end_as_failed(
    runtime: Runtime[Context], rounds: Rounds, number: int, job: str, reason: str
) -> TrainingUpdate:
    """End a round that cannot go on; the release stays as it is."""
    how = End(outcome="failed", reason=reason, at=time.time())
    how = await asyncio.to_thread(rounds.end, number, how)
    runtime.stream_writer({"type": f"training.{how.outcome}", "job": job, "reason": how.reason})
    return {"stage": how.outcome, "reason": how.reason}


async def incumbent(state: TrainingState, runtime: Runtime[Context]) -> str:
    """Return the released adapter that the round's adapter is compared with; '' for none.

    If the round's own adapter is released already, return the adapter released before it. A run
    that was killed after the release and before the end of its round then still finds the right
    one.
    """
    releases = releases_of(runtime, state.environment)
    release = await releases.current()
    while release and state.adapter and release.adapter == state.adapter:
        release = await releases.get(release.base) if release.base else None
    return release.adapter if release and release.model == f"{LOCAL}{state.base}" else ""


@asynccontextmanager
async def hold_round(rounds: Rounds, state: TrainingState) -> AsyncIterator[TrainingUpdate]:
    """Hold a round, so that no other run acts on it.

    Yields:
        An empty update. If another run holds the round or has ended it, the update to return.
    """
    claim = await asyncio.to_thread(rounds.claim, state.number)
    tries = 1
    while claim is None and tries < TRIES:  # a run that only looks at the round releases it at once
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
