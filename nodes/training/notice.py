"""What recording sets off: the attempt that makes enough of them starts the training, aside.

On a server the training graph is started as a run of its own, which costs the recording a call
within the process. Elsewhere there is nothing that could run it: whoever embeds the graph calls it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter as Counted
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from langgraph.runtime import Runtime
from langgraph_sdk import get_client
from langgraph_sdk.errors import NotFoundError

from environments.registry import environment
from nodes.experience import Memory
from nodes.training.workshop import base_of, local_jobs, remembered, rounds_of, usable
from state.context import Context
from state.errors import BadInput, UnknownName
from state.nouns import Trajectory
from state.training import THRESHOLD
from training.datasets.episodes import unusable

SETTING: Final = "APPRENTICE_TRAIN_AFTER"
GRAPH: Final = "training"
_SERVER: Final = "langgraph_api.server"

Start = Callable[[dict[str, Any], Context], Awaitable[None]]
_Key = tuple[str, str, str]


@dataclass
class Counter:
    """How many attempts have been recorded since training was last started, as this process knows.

    What was recorded before this process began is counted once, from memory.
    """

    counts: dict[_Key, int] = field(default_factory=dict)

    async def add(
        self, key: _Key, new: int, threshold: int, before: Callable[[], Awaitable[int]]
    ) -> bool:
        """Count attempts that are recorded; True when they make enough, and then from 0 again."""
        counted = await before() if key not in self.counts else self.counts[key] + new
        enough = counted >= threshold
        self.counts[key] = 0 if enough else counted
        return enough


_counter: Final = Counter()


async def notice(
    attempts: Sequence[Trajectory],
    runtime: Runtime[Context],
    memory: Memory,
    start: Start | None = None,
    counter: Counter = _counter,
) -> bool:
    """Take note of attempts that were recorded or judged; start the training if it is due.

    Args:
        attempts: those that are new, or newly judged.
        runtime: the run that recorded them: its tenant and model.
        memory: where they are.
        start: starts the training graph; on a server, as a run of its own.
        counter: what this process has counted.

    Returns:
        Whether the training was started.
    """
    start = start or (_on_server if _SERVER in sys.modules else None)
    context = Context.of(runtime)
    threshold = after()
    learnable = [attempt for attempt in attempts if not unusable(attempt)]
    if not (start and threshold and base_of(context) and learnable):
        return False
    started = False
    counts = await asyncio.to_thread(_grouped, learnable)
    for name, new in sorted(counts.items()):
        if await _due(name, new, runtime, memory, counter, threshold):
            await start({"environment": name, "threshold": threshold}, context)
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
) -> bool:
    """Tell whether there is something for the training graph to do."""
    context, rounds = Context.of(runtime), rounds_of(runtime, name)
    last = await asyncio.to_thread(rounds.last)
    if last and last[1] is None:  # a round is open: it waits only for the end of its job
        return not await asyncio.to_thread(_runs, last[0].job)
    seen = last[0].seen if last else 0.0

    async def before() -> int:
        found = usable(await remembered(memory, context.tenant, name))
        return sum(one.at > seen for one in found)

    return await counter.add((context.tenant, name, context.model), new, threshold, before)


def _runs(job: str) -> bool:
    launcher = local_jobs()
    return job in launcher.jobs() and launcher.look(job).stage == "running"


async def _on_server(given: dict[str, Any], context: Context) -> None:
    """Start the training graph as a run of this server, if it serves that graph."""
    client = get_client(url=None, api_key=None)
    settings = {"tenant": context.tenant, "model": context.model}
    try:
        await client.runs.create(None, GRAPH, input=given, context=settings)
    except NotFoundError:
        return
