"""Start the training graph when enough judged attempts are recorded.

On a server, the training graph becomes a run of its own; the recording waits only for a call within
the process. Elsewhere nothing is started: a program that embeds the graphs calls training itself.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from httpx import HTTPError
from langgraph.runtime import Runtime
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError

from apprentice.environments.registry import Environments
from apprentice.memory.experience import OpenExperience
from apprentice.nodes.training.attempts import load_attempts, usable_attempts
from apprentice.nodes.training.rounds import base_of, rounds_of
from apprentice.state.context import Context
from apprentice.state.errors import ApprenticeError, UnknownName
from apprentice.state.redaction import redact
from apprentice.state.trajectory import Trajectory
from apprentice.training.datasets.episodes import unusable
from apprentice.training.jobs import Launcher
from apprentice.training.rounds import Round, Rounds
from apprentice.workspace import Workspace

GRAPH: Final = "training"
SHARED_SETTINGS: Final = ("tenant", "model", "temperature", "max_tokens", "judge", "judge_model")
"""Settings that the training takes from the recording run: how it acts, and who judges."""
_SERVER: Final = "langgraph_api.server"
_log: Final = logging.getLogger(__name__)

Start = Callable[[dict[str, Any], Context], Awaitable[None]]


async def trigger_training(
    attempts: Sequence[Trajectory],
    runtime: Runtime[Context],
    recall_from: OpenExperience,
    workspace: Workspace,
    start: Start | None = None,
) -> bool:
    """Count attempts that are new or newly judged, and start a training that is due.

    A failure here does not fail the recording: it becomes an event and a warning in the log.

    Args:
        attempts: the attempts that are new, or newly judged.
        runtime: of the recording run; it names the tenant and the model.
        recall_from: opens the experience memory with the attempts.
        workspace: counts the attempts, and has the rounds and jobs.
        start: starts the training graph; by default, a server starts it as a run of its own.

    Returns:
        Whether a training was started.
    """
    try:
        return await _start_what_is_due(attempts, runtime, recall_from, workspace, start)
    except (ApprenticeError, OSError, ValueError, HTTPError) as error:
        reason = redact(str(error))
        _log.warning("No training can be started: %s", reason)
        runtime.stream_writer({"type": "training.notice", "reason": reason})
        return False


async def _start_what_is_due(
    attempts: Sequence[Trajectory],
    runtime: Runtime[Context],
    recall_from: OpenExperience,
    workspace: Workspace,
    start: Start | None,
) -> bool:
    start = start or (start_on_server if _SERVER in sys.modules else None)
    await workspace.ready()
    context = workspace.with_model(Context.of(runtime))
    threshold = workspace.settings.train_after
    learnable = [attempt for attempt in attempts if not unusable(attempt)]
    if not (start and threshold and base_of(context) and learnable):
        return False
    is_started = False
    counts = await asyncio.to_thread(_count_by_environment, learnable, workspace.environments)
    for name, new in sorted(counts.items()):
        if await _due(name, new, runtime, recall_from, workspace):
            try:
                await start({"environment": name, "threshold": threshold}, context)
            except BaseException:
                workspace.new_attempts.forget((context.tenant, name, context.model))
                raise
            is_started = True
    return is_started


def group(name: str, environments: Environments) -> str:
    """Return the environment for which an attempt counts: `toolcalls` for `toolcalls/banking`."""
    first = name.split("/")[0]
    try:
        return first if environments.get(first).name == first else name
    except UnknownName:
        return name


def _count_by_environment(
    attempts: Sequence[Trajectory], environments: Environments
) -> Counter[str]:
    """Count attempts by environment; blocks, because an environment may read files."""
    return Counter(group(attempt.task.environment, environments) for attempt in attempts)


async def _due(
    name: str,
    new: int,
    runtime: Runtime[Context],
    recall_from: OpenExperience,
    workspace: Workspace,
) -> bool:
    """Tell whether the training graph has something to do."""
    context = workspace.with_model(Context.of(runtime))
    rounds, counter = rounds_of(runtime, name, workspace), workspace.new_attempts
    key = (context.tenant, name, context.model)
    last = await asyncio.to_thread(rounds.last)
    if last and last[1] is None:  # a round is open and waits for the end of its job
        counter.counts.pop(key, None)  # new attempts count for the next round
        stage = await asyncio.to_thread(_stage, last[0], rounds, workspace.launcher())
        return bool(stage) and counter.note_stage(key, last[0].number, stage)
    surveyed_until = last[0].seen if last else 0.0

    async def before() -> int:
        attempts = usable_attempts(await load_attempts(recall_from, context.tenant, name))
        return sum(one.at > surveyed_until for one in attempts)

    return await counter.add(key, new, workspace.settings.train_after, before)


def _stage(training_round: Round, rounds: Rounds, launcher: Launcher) -> str:
    """Return the stage of a round's job; '' while its process works, or a run evaluates it."""
    claim = rounds.claim(training_round.number)
    if claim is None:
        return ""
    claim.close()
    if training_round.job not in launcher.jobs():
        return "waiting"
    status = launcher.look(training_round.job)
    return "" if status.alive else status.stage


async def start_on_server(
    graph_input: dict[str, Any], context: Context, client: LangGraphClient | None = None
) -> None:
    """Start the training graph as a run of this server, if it serves that graph.

    Args:
        graph_input: the input of the training graph.
        context: the settings of the recording run.
        client: of the server; by default, a client within this process.
    """
    client = client or get_client(url=None, api_key=None)
    settings = {name: getattr(context, name) for name in SHARED_SETTINGS}
    try:
        await client.runs.create(None, GRAPH, input=graph_input, context=settings)
    except NotFoundError:
        return
