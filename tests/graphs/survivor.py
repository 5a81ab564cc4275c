"""A process that runs a graph on SQLite, to be killed and started again.

    python -m tests.graphs.survivor episode|reflexion FILE ENVIRONMENT TASK PAUSE

It goes on where the file says the last one stopped, prints a line for each event, and at the end
the result as JSON. PAUSE is the time in seconds that the agent takes for a turn.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from apprentice.graphs import episode, reflexion
from apprentice.state.trajectory import Task, transcript
from tests.experts import expert_agent, expert_reflector

THREAD: RunnableConfig = {"configurable": {"thread_id": "one"}}


async def main(name: str, file: str, task: Task, pause: float) -> dict[str, Any]:
    """Run or resume the graph."""

    async def slow_expert(messages: Sequence[AnyMessage]) -> str:
        await asyncio.sleep(pause)
        return expert_agent(messages)

    async with AsyncSqliteSaver.from_conn_string(file) as saver:
        built = episode.build(agent=slow_expert)
        graph: Any = (
            built.compile(checkpointer=saver)
            if name == "episode"
            else reflexion.build(agent=slow_expert, reflector=expert_reflector).compile(
                checkpointer=saver
            )
        )
        begun = (await graph.aget_state(THREAD)).values
        given = None if begun else {"task": task}
        events = graph.astream(given, THREAD, stream_mode="custom", durability="sync")
        async for event in events:
            print(json.dumps(event), flush=True)
        ended = (await graph.aget_state(THREAD)).values
    if name == "episode":
        return {
            "transcript": transcript(ended["messages"]),
            "verdict": ended["verdict"].model_dump(),
            "calls": ended["usage"].calls,
            "task": ended["task"].model_dump(),
        }
    return {
        "attempts": [transcript(attempt.messages) for attempt in ended["attempts"]],
        "ids": [attempt.id for attempt in ended["attempts"]],
        "run": ended["run_name"],
        "outcome": ended["outcome"],
        "reflections": [reflection.model_dump() for reflection in ended["reflections"]],
    }


if __name__ == "__main__":
    _, name, file, environment, task_id, pause = sys.argv
    asked = Task(environment=environment, id=task_id)
    print(json.dumps({"result": asyncio.run(main(name, file, asked, float(pause)))}))
