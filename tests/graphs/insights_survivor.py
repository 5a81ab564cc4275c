"""A process that runs the insights graph on SQLite, to be killed and started again.

    python -m tests.graphs.insights_survivor FOLDER PAUSE

It goes on where the folder's files say the last one stopped, prints a line for each event, and at
the end the result as JSON. PAUSE is the time in seconds that the analyst takes for an answer.
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

from graphs import insights
from memory.rulebook import RulebookLog
from tests.graphs.analyst import REPORTS, analyst

THREAD: RunnableConfig = {"configurable": {"thread_id": "one"}}


async def main(folder: Path, pause: float) -> dict[str, Any]:
    """Run or resume the graph."""

    async def slow(messages: Sequence[AnyMessage]) -> str:
        await asyncio.sleep(pause)
        return analyst(messages)

    async with (
        AsyncSqliteSaver.from_conn_string(str(folder / "checkpoints")) as saver,
        AsyncSqliteStore.from_conn_string(str(folder / "store")) as store,
    ):
        await store.setup()
        graph: Any = insights.build(slow).compile(checkpointer=saver, store=store)
        begun = (await graph.aget_state(THREAD)).values
        given = None if begun else {"reports": REPORTS, "review": False}
        async for event in graph.astream(given, THREAD, stream_mode="custom", durability="sync"):
            print(json.dumps(event), flush=True)
        ended = (await graph.aget_state(THREAD)).values
        batches = await RulebookLog(store, book="insights:default").batches()
    return {
        "insights": [[each.text, each.strength] for each in ended["insights"]],
        "experiment": ended["experiment"].text,
        "batches": [[batch.author, batch.reason] for batch in batches],
    }


if __name__ == "__main__":
    _, folder, pause = sys.argv
    print(json.dumps({"result": asyncio.run(main(Path(folder), float(pause)))}))
