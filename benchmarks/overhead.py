"""The time that the framework adds to each step: `python -m benchmarks.overhead`.

It compares the episode graph with LangChain's `create_agent` loop. Both have the same scripted
model, a tool (or environment) that answers at once, and the same number of steps. Their rounds
alternate.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from rich.console import Console
from rich.table import Table

from apprentice.environments.household.environment import Household
from apprentice.graphs import episode
from apprentice.state.episode import EpisodeInput
from benchmarks.scripted_model import ScriptedModel

ROUNDS = 15
ENVIRONMENT = Household("north", "full")
TASK = ENVIRONMENT.task("test/5")  # two things to carry: the highest step limit
STEPS = ENVIRONMENT.step_limit(TASK)
PATH = [f"go to {place}" for place in ENVIRONMENT.reset(TASK).room.places]


def _turn(messages: Sequence[BaseMessage]) -> int:
    return sum(message.type == "ai" for message in messages)


def _episode() -> Callable[[], Awaitable[object]]:
    model = ScriptedModel(reply=lambda messages: AIMessage(PATH[_turn(messages) % len(PATH)]))
    graph = episode.build(agent=model).compile()
    inputs = EpisodeInput(task=TASK)
    return lambda: graph.ainvoke(inputs, RunnableConfig(recursion_limit=10 * STEPS))


@tool
def act(command: str) -> str:
    """Carry out a command."""
    return f"On the desk 1, you see nothing. ({command})"


def _create_agent() -> Callable[[], Awaitable[object]]:
    def reply(messages: Sequence[BaseMessage]) -> AIMessage:
        turn = _turn(messages)
        if turn >= STEPS:
            return AIMessage("Done.")
        call = {"name": "act", "args": {"command": PATH[turn % len(PATH)]}, "id": f"call-{turn}"}
        return AIMessage("", tool_calls=[call])

    agent = create_agent(ScriptedModel(reply=reply), [act])
    inputs: Any = {"messages": [{"role": "user", "content": TASK.instruction}]}
    return lambda: agent.ainvoke(inputs, RunnableConfig(recursion_limit=10 * STEPS))


async def _measure() -> tuple[list[float], list[float]]:
    ours, theirs = _episode(), _create_agent()
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS + 2):
        for run, column in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            await run()
            if number >= 2:
                column.append((time.perf_counter() - start) / STEPS * 1000)
    return times


def main() -> None:
    """Print the medians and their ratio."""
    ours, theirs = (statistics.median(times) for times in asyncio.run(_measure()))
    table = Table(title=f"Milliseconds a step without a model's time, median of {ROUNDS}")
    for column in ("episode graph", "create_agent", "episode / create_agent"):
        table.add_column(column, justify="right")
    table.add_row(f"{ours:.2f}", f"{theirs:.2f}", f"{ours / theirs:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
