"""A process that learns rules on SQLite, to be killed and started again.

    python -m tests.graphs.expel_survivor FOLDER PAUSE

It goes on where the folder says the last one stopped, prints a line for each event and for each
attempt that begins, and at the end the result as JSON. PAUSE is the time that each turn takes.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.store.sqlite.aio import AsyncSqliteStore

from graphs import expel
from memory.findings import Findings
from memory.releases import Releases
from memory.rulebook import RulebookLog
from state.gathering import Gathered
from state.nouns import text_of
from tests.experts import expert_agent, expert_critic, expert_reflector

HOME = "household/north/small"
CONFIG: RunnableConfig = {"configurable": {"thread_id": "one"}, "max_concurrency": 3}
GIVEN: Any = {"environment": HOME, "tasks": 6, "held_out": 24, "run": "one"}


async def main(folder: Path, pause: float) -> dict[str, Any]:
    """Run or resume."""

    async def slow_expert(messages: Sequence[AnyMessage]) -> str:
        if len(messages) == 2:
            print(json.dumps({"type": "attempt", "opening": text_of(messages[1])}), flush=True)
        await asyncio.sleep(pause)
        return expert_agent(messages)

    async def slow_critic(messages: Sequence[AnyMessage]) -> str:
        await asyncio.sleep(pause)
        return expert_critic(messages)

    async with (
        AsyncSqliteSaver.from_conn_string(str(folder / "checkpoints")) as saver,
        AsyncSqliteStore.from_conn_string(str(folder / "store")) as store,
    ):
        await store.setup()
        graph = expel.build(slow_expert, reflector=expert_reflector, critic=slow_critic).compile(
            checkpointer=saver, store=store
        )
        begun = (await graph.aget_state(CONFIG)).values
        given: Any = None if begun else GIVEN
        async for event in graph.astream(given, CONFIG, stream_mode="custom"):
            print(json.dumps(event), flush=True)
        ended = (await graph.aget_state(CONFIG)).values
        log = RulebookLog(store, book=HOME)
        gathered = await Findings(store, "default", HOME, "one", Gathered).all()
        return {
            "outcome": ended["outcome"],
            "rules": [rule.model_dump() for rule in (await log.load()).rules],
            "batches": [batch.key for batch in await log.batches()],
            "attempts": sorted(attempt.id for each in gathered for attempt in each.attempts),
            "openings": {each.task.id: text_of(each.attempts[0].messages[1]) for each in gathered},
            "releases": [each.texts for each in await Releases(store, "default", HOME).all()],
        }


if __name__ == "__main__":
    print(json.dumps({"result": asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2])))}))
