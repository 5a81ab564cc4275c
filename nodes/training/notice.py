"""What recording sets off: the attempt that makes enough of them starts the training, aside.

On a server the training graph is started as a run of its own, which costs the recording a call
within the process. Elsewhere there is nothing that could run it: whoever embeds the graph calls it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter as Counted
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from httpx import HTTPError
from langgraph.runtime import Runtime
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError

from apprentice.environments.registry import Environments
from apprentice.memory.experience import OpenExperience
from apprentice.nodes.training.workshop import (
    base_of,
    remembered,
    rounds_of,
    usable,
)
from apprentice.state.context import Context
from apprentice.state.errors import ApprenticeError, UnknownName
from apprentice.state.nouns import Trajectory
from apprentice.state.redaction import redact
from apprentice.training.datasets.episodes import unusable
from apprentice.training.jobs import Launcher
from apprentice.training.rounds import Round, Rounds
from apprentice.workspace import Workspace

GRAPH: Final = "training"
PASSED_ON: Final = ("tenant", "model", "temperature", "max_tokens", "judge", "judge_model")
"""Settings of the recording run that the training has too: how it acts, and who judges."""
_SERVER: Final = "langgraph_api.server"
_log: Final = logging.getLogger(__name__)

Start = Callable[[dict[str, Any], Context], Awaitable[None]]


async def notice(
    attempts: Sequence[Trajectory],
    runtime: Runtime[Context],
    recall_from: OpenExperience,
    workspace: Workspace,
    start: Start | None = None,
) -> bool:
    """Take note of attempts that were recorded or judged; start the training if it is due.

    A recording never fails for it: what goes wrong is an event and a warning in the log.

    Args:
        attempts: those that are new, or newly judged.
        runtime: the run that recorded them: its tenant and model.
        recall_from: where they are.
        workspace: counts them, and has the rounds and jobs.
        start: starts the training graph; on a server, as a run of its own.

    Returns:
        Whether the training was started.
    """
    try:
        return await _noticed(attempts, runtime, recall_from, workspace, start)
    except (ApprenticeError, OSError, ValueError, HTTPError) as error:
        reason = redact(str(error))
        _log.warning("No training can be started: %s", reason)
        runtime.stream_writer({"type": "training.notice", "reason": reason})
        return False


async def _noticed(
    attempts: Sequence[Trajectory],
    runtime: Runtime[Context],
    recall_from: OpenExperience,
    workspace: Workspace,
    start: Start | None,
) -> bool:
    start = start or (start_on_server if _SERVER in sys.modules else None)
    await workspace.ready()
    context = workspace.resolved(Context.of(runtime))
    threshold = workspace.settings.train_after
    learnable = [attempt for attempt in attempts if not unusable(attempt)]
    if not (start and threshold and base_of(context) and learnable):
        return False
    started = False
    counts = await asyncio.to_thread(_grouped, learnable, workspace.environments)
    for name, new in sorted(counts.items()):
        if await _due(name, new, runtime, recall_from, workspace):
            try:
                await start({"environment": name, "threshold": threshold}, context)
            except BaseException:
                workspace.trained.forget((context.tenant, name, context.model))
                raise
            started = True
    return started


def group(name: str, environments: Environments) -> str:
    """Return the environment that an attempt counts for: `toolcalls` for `toolcalls/banking`."""
    first = name.split("/")[0]
    try:
        return first if environments.get(first).name == first else name
    except UnknownName:
        return name


def _grouped(attempts: Sequence[Trajectory], environments: Environments) -> Counted[str]:
    """Count attempts by what they count for; blocks, since names may be those of files."""
    return Counted(group(attempt.task.environment, environments) for attempt in attempts)


async def _due(
    name: str,
    new: int,
    runtime: Runtime[Context],
    recall_from: OpenExperience,
    workspace: Workspace,
) -> bool:
    """Tell whether there is something for the training graph to do."""
    context = workspace.resolved(Context.of(runtime))
    rounds, counter = rounds_of(runtime, name, workspace), workspace.trained
    key = (context.tenant, name, context.model)
    last = await asyncio.to_thread(rounds.last)
    if last and last[1] is None:  # a round is open: it waits only for the end of its job
        counter.counts.pop(key, None)  # what is recorded meanwhile counts for the next
        stage = await asyncio.to_thread(_stage, last[0], rounds, workspace.launcher())
        return bool(stage) and counter.moved(key, last[0].number, stage)
    seen = last[0].seen if last else 0.0

    async def before() -> int:
        found = usable(await remembered(recall_from, context.tenant, name))
        return sum(one.at > seen for one in found)

    return await counter.add(key, new, workspace.settings.train_after, before)


def _stage(begun: Round, rounds: Rounds, launcher: Launcher) -> str:
    """Return the stage of a round's job; '' while a process is at it, or a run evaluates it."""
    claim = rounds.claim(begun.number)
    if claim is None:
        return ""
    claim.close()
    if begun.job not in launcher.jobs():
        return "waiting"
    status = launcher.look(begun.job)
    return "" if status.alive else status.stage


async def start_on_server(
    given: dict[str, Any], context: Context, client: LangGraphClient | None = None
) -> None:
    """Start the training graph as a run of this server, if it serves that graph.

    Args:
        given: the graph's input.
        context: of the recording run.
        client: of the server; one within this process when None.
    """
    client = client or get_client(url=None, api_key=None)
    settings = {name: getattr(context, name) for name in PASSED_ON}
    try:
        await client.runs.create(None, GRAPH, input=given, context=settings)
    except NotFoundError:
        return
