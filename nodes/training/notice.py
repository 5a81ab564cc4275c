"""What recording sets off: the attempt that makes enough of them starts the training, aside.

On a server the training graph is started as a run of its own, which costs the recording a call
within the process. Elsewhere there is nothing that could run it: whoever embeds the graph calls it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections import Counter as Counted
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from httpx import HTTPError
from langgraph.runtime import Runtime
from langgraph_sdk import get_client
from langgraph_sdk.errors import NotFoundError

from apprentice.environments.registry import environment
from apprentice.nodes.experience import Memory
from apprentice.nodes.training.workshop import (
    Jobs,
    base_of,
    local_jobs,
    remembered,
    rounds_of,
    usable,
)
from apprentice.state.context import Context
from apprentice.state.errors import ApprenticeError, BadInput, UnknownName
from apprentice.state.nouns import Trajectory
from apprentice.state.redaction import redact
from apprentice.state.training import THRESHOLD
from apprentice.training.datasets.episodes import unusable
from apprentice.training.jobs import Launcher
from apprentice.training.rounds import Round, Rounds

SETTING: Final = "APPRENTICE_TRAIN_AFTER"
GRAPH: Final = "training"
AGAIN: Final = 600.0
"""Seconds after which a round that has not moved is looked at once more."""
PASSED_ON: Final = ("tenant", "model", "temperature", "max_tokens", "judge", "judge_model")
"""Settings of the recording run that the training has too: how it acts, and who judges."""
_SERVER: Final = "langgraph_api.server"
_log: Final = logging.getLogger(__name__)

Start = Callable[[dict[str, Any], Context], Awaitable[None]]
_Key = tuple[str, str, str]


@dataclass
class Counter:
    """How many attempts have been recorded since training was last started, as this process knows.

    What was recorded before this process began is counted once, from memory. Of a round that is
    open, a training is started once for each stage of its job, and again after a while.
    """

    counts: dict[_Key, int] = field(default_factory=dict)
    told: dict[tuple[_Key, int], tuple[str, float]] = field(default_factory=dict)

    async def add(
        self, key: _Key, new: int, threshold: int, before: Callable[[], Awaitable[int]]
    ) -> bool:
        """Count attempts that are recorded; True when they make enough, and then from 0 again."""
        if key in self.counts:
            counted = self.counts[key] + new
        else:
            found = await before()
            counted = max(found, self.counts.get(key, 0))  # another may have counted meanwhile
        enough = counted >= threshold
        self.counts[key] = 0 if enough else counted
        return enough

    def moved(self, key: _Key, number: int, stage: str) -> bool:
        """Tell whether a round's job is at a stage that no training was started for of late."""
        before, at = self.told.get((key, number), ("", 0.0))
        now = time.monotonic()
        if stage == before and now - at < AGAIN:
            return False
        self.told[key, number] = (stage, now)
        return True

    def forget(self, key: _Key) -> None:
        """Count from memory again, and start a training for whatever stage a round is at."""
        self.counts.pop(key, None)
        self.told = {each: told for each, told in self.told.items() if each[0] != key}


_counter: Final = Counter()


async def notice(
    attempts: Sequence[Trajectory],
    runtime: Runtime[Context],
    memory: Memory,
    start: Start | None = None,
    counter: Counter = _counter,
    jobs: Jobs = local_jobs,
) -> bool:
    """Take note of attempts that were recorded or judged; start the training if it is due.

    A recording never fails for it: what goes wrong is an event and a warning in the log.

    Args:
        attempts: those that are new, or newly judged.
        runtime: the run that recorded them: its tenant and model.
        memory: where they are.
        start: starts the training graph; on a server, as a run of its own.
        counter: what this process has counted.
        jobs: gives the launcher of jobs.

    Returns:
        Whether the training was started.
    """
    try:
        return await _noticed(attempts, runtime, memory, start, counter, jobs)
    except (ApprenticeError, OSError, ValueError, HTTPError) as error:
        reason = redact(str(error))
        _log.warning("No training can be started: %s", reason)
        runtime.stream_writer({"type": "training.notice", "reason": reason})
        return False


async def _noticed(
    attempts: Sequence[Trajectory],
    runtime: Runtime[Context],
    memory: Memory,
    start: Start | None,
    counter: Counter,
    jobs: Jobs,
) -> bool:
    start = start or (_on_server if _SERVER in sys.modules else None)
    context = Context.of(runtime)
    threshold = after()
    learnable = [attempt for attempt in attempts if not unusable(attempt)]
    if not (start and threshold and base_of(context) and learnable):
        return False
    started = False
    counts = await asyncio.to_thread(_grouped, learnable)
    for name, new in sorted(counts.items()):
        if await _due(name, new, runtime, memory, counter, threshold, jobs):
            try:
                await start({"environment": name, "threshold": threshold}, context)
            except BaseException:
                counter.forget((context.tenant, name, context.model))
                raise
            started = True
    return started


def after() -> int:
    """Return how many attempts start a training, as the server's settings say; 0 for never."""
    given = os.environ.get(SETTING, "") or str(THRESHOLD)
    if not given.isdigit():
        raise BadInput(f"{SETTING} is {given[:40]!r}, but must be a number; 0 turns it off.")
    return int(given)


def group(name: str) -> str:
    """Return the environment that an attempt counts for: `toolcalls` for `toolcalls/banking`."""
    first = name.split("/")[0]
    try:
        return first if environment(first).name == first else name
    except UnknownName:
        return name


def _grouped(attempts: Sequence[Trajectory]) -> Counted[str]:
    """Count attempts by what they count for; blocks, since names may be those of files."""
    return Counted(group(attempt.task.environment) for attempt in attempts)


async def _due(
    name: str,
    new: int,
    runtime: Runtime[Context],
    memory: Memory,
    counter: Counter,
    threshold: int,
    jobs: Jobs,
) -> bool:
    """Tell whether there is something for the training graph to do."""
    context, rounds = Context.of(runtime), rounds_of(runtime, name)
    key = (context.tenant, name, context.model)
    last = await asyncio.to_thread(rounds.last)
    if last and last[1] is None:  # a round is open: it waits only for the end of its job
        counter.counts.pop(key, None)  # what is recorded meanwhile counts for the next
        stage = await asyncio.to_thread(_stage, last[0], rounds, jobs())
        return bool(stage) and counter.moved(key, last[0].number, stage)
    seen = last[0].seen if last else 0.0

    async def before() -> int:
        found = usable(await remembered(memory, context.tenant, name))
        return sum(one.at > seen for one in found)

    return await counter.add(key, new, threshold, before)


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


async def _on_server(given: dict[str, Any], context: Context) -> None:
    """Start the training graph as a run of this server, if it serves that graph."""
    client = get_client(url=None, api_key=None)
    settings = {name: getattr(context, name) for name in PASSED_ON}
    try:
        await client.runs.create(None, GRAPH, input=given, context=settings)
    except NotFoundError:
        return
