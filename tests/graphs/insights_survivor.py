"""A process that runs the insights graph on SQLite, to be killed and started again.

    python -m tests.graphs.insights_survivor FOLDER PAUSE [review]

It goes on where the folder's files say the last one stopped, prints a line for each event, and at
the end the result as JSON. PAUSE is the time in seconds that the analyst takes for an answer.
With `review`, a person is asked, who removes the first insight and adds another.
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
from langgraph.types import Command

from apprentice.graphs import insights
from apprentice.memory.rulebook import RulebookLog
from tests.graphs.analyst import REPORTS, analyst

THREAD: RunnableConfig = {"configurable": {"thread_id": "one"}}


async def main(folder: Path, pause: float, *, review: bool = False) -> dict[str, Any]:
    """Run or resume the graph."""

    async def slow(messages: Sequence[AnyMessage]) -> str:
        print(json.dumps({"type": "asked"}), flush=True)
        await asyncio.sleep(pause)
        return analyst(messages)

    async with (
        AsyncSqliteSaver.from_conn_string(str(folder / "checkpoints")) as saver,
        AsyncSqliteStore.from_conn_string(str(folder / "store")) as store,
    ):
        await store.setup()
        graph: Any = insights.build(analyst=slow).compile(checkpointer=saver, store=store)
        state = await graph.aget_state(THREAD)
        given: Any = None if state.values else {"reports": REPORTS, "review": review}
        while True:
            if state.interrupts:
                given = answer(state.interrupts[0].value)
                print(json.dumps({"type": "answering"}), flush=True)
            events = graph.astream(given, THREAD, stream_mode="custom", durability="sync")
            async for event in events:
                print(json.dumps(event), flush=True)
            state = await graph.aget_state(THREAD)
            if not state.next:
                break
        ended = state.values
        batches = await RulebookLog(store, rulebook="insights:default").batches()
    return {
        "insights": [[each.text, each.strength] for each in ended["insights"]],
        "experiment": ended["experiment"].text,
        "batches": [[batch.author, batch.reason] for batch in batches],
    }


def answer(asked: Any) -> Command[Any]:
    """Return a person's answer."""
    changes = [
        {"action": "remove", "insight": asked["insights"][0]["id"]},
        {"action": "add", "text": "Regulars buy on Sundays."},
    ]
    return Command(resume={"changes": changes, "reason": "Season."})


if __name__ == "__main__":
    _, folder, pause, *options = sys.argv
    ended = main(Path(folder), float(pause), review="review" in options)
    print(json.dumps({"result": asyncio.run(ended)}))
