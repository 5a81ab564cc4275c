"""A process that learns rules on SQLite, to be killed and started again.

    python -m tests.graphs.expel_survivor FOLDER PAUSE [review]

It goes on where the folder says the last one stopped, prints what the memory held when it began,
a line for each event, and at the end the result as JSON. PAUSE is the time that each turn takes.
With `review`, a person is asked, and rejects the first change.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.store.base import BaseStore
from langgraph.store.sqlite.aio import AsyncSqliteStore
from langgraph.types import Command

from apprentice.graphs import expel
from apprentice.memory.experience import Experience
from apprentice.memory.releases import Releases
from apprentice.memory.rulebook import RulebookLog
from apprentice.memory.run_results import Findings
from apprentice.settings import Settings
from apprentice.state.critique import TaskAttempts
from apprentice.state.experience import RecordReceipt
from apprentice.state.trajectory import Trajectory, text_of
from apprentice.workspace import Workspace
from tests.experts import expert_agent, expert_critic, expert_reflector
from tests.memory.experience.attempts import Words

HOME = "household/north/small"
CONFIG: RunnableConfig = {"configurable": {"thread_id": "one"}, "max_concurrency": 3}
GIVEN: Any = {"environment": HOME, "tasks": 6, "held_out": 24, "run": "one"}
REVIEWED: Any = {**GIVEN, "tasks": 3, "held_out": 0, "review": True}


def tell(**event: Any) -> None:
    """Print an event; whoever reads it may kill this process now."""
    print(json.dumps(event), flush=True)


class Telling:
    """A tenant's memory that says when it is about to record, and when it has."""

    def __init__(self, kept: Experience) -> None:
        self._kept = kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kept, name)

    async def record(self, trajectories: Iterable[Trajectory]) -> RecordReceipt:
        """Record as the memory does."""
        tell(type="recording")
        done = await self._kept.record(trajectories)
        tell(type="recorded")
        return done


async def slow(messages: Sequence[AnyMessage], pause: float) -> str:
    """Act as the expert does, and say when an attempt begins."""
    if len(messages) == 2:
        tell(type="attempt", opening=text_of(messages[1]))
    await asyncio.sleep(pause)
    return expert_agent(messages)


@asynccontextmanager
async def opened(
    folder: Path, workspace: Workspace, pause: float
) -> AsyncIterator[tuple[Any, BaseStore]]:
    """Open the graph and its store."""

    async def memory(tenant: str) -> Any:
        return Telling(await workspace.experience(tenant))

    async def actor(messages: Sequence[AnyMessage]) -> str:
        return await slow(messages, pause)

    async def critic(messages: Sequence[AnyMessage]) -> str:
        tell(type="criticising")
        await asyncio.sleep(pause)
        return expert_critic(messages)

    async with (
        AsyncSqliteSaver.from_conn_string(str(folder / "checkpoints")) as saver,
        AsyncSqliteStore.from_conn_string(str(folder / "store")) as store,
    ):
        await store.setup()
        graph = expel.build(
            workspace=workspace,
            agent=actor,
            reflector=expert_reflector,
            critic=critic,
            record_to=memory,
        )
        yield graph.compile(checkpointer=saver, store=store), store
    await workspace.close()


async def main(folder: Path, pause: float, *, review: bool = False) -> dict[str, Any]:
    """Run or resume."""
    workspace = Workspace(folder, settings=Settings(qdrant_url=""), embeddings=Words())
    before = await remembered(workspace)
    tell(type="remembered", openings=[text_of(each.messages[1]) for each in before])
    async with opened(folder, workspace, pause) as (graph, store):
        state = await graph.aget_state(CONFIG)
        given: Any = None if state.values else REVIEWED if review else GIVEN
        while True:
            if state.interrupts:
                first = state.interrupts[0].value["changes"][0]["rule"]
                given = Command(resume={"changes": {first: "reject"}})
                tell(type="answering")
            async for event in graph.astream(given, CONFIG, stream_mode="custom"):
                tell(**event)
            state = await graph.aget_state(CONFIG)
            if not state.next:
                break
        return await result(state.values, store, workspace)


async def result(ended: Any, store: BaseStore, workspace: Workspace) -> dict[str, Any]:
    """Return all that the run left behind."""
    log = RulebookLog(store, rulebook=HOME)
    gathered = await Findings(store, "default", HOME, "one", TaskAttempts).all()
    attempts = [attempt for each in gathered for attempt in each.attempts]
    return {
        "outcome": ended["outcome"],
        "rules": [rule.model_dump() for rule in (await log.load()).rules],
        "batches": [(batch.key, batch.author) for batch in await log.batches()],
        "attempts": sorted(attempt.id for attempt in attempts),
        "remembered": sorted(each.id for each in await remembered(workspace)),
        "openings": Counter(text_of(attempt.messages[1]) for attempt in attempts),
        "first": {each.task.id: text_of(each.attempts[0].messages[1]) for each in gathered},
        "releases": [each.texts for each in await Releases(store, "default", HOME).all()],
    }


async def remembered(workspace: Workspace) -> list[Trajectory]:
    """Return every attempt that the memory holds."""
    return [each.trajectory async for each in (await workspace.experience("default")).browse()]


if __name__ == "__main__":
    ended = main(Path(sys.argv[1]), float(sys.argv[2]), review="review" in sys.argv[3:])
    tell(result=asyncio.run(ended))
