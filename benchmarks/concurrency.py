"""Many tasks at once on a slow model: `python -m benchmarks.concurrency`.

It runs 64 episodes at once with a model that takes 200 ms for each call. The ideal time is that of
one episode's model calls: 200 ms for each step.
"""

from __future__ import annotations

import asyncio
import statistics
import time

from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from rich.console import Console
from rich.table import Table

from apprentice.cli import event_loop
from apprentice.graphs import episode
from apprentice.state.episode import EpisodeInput
from benchmarks.overhead import PATH, STEPS, TASK
from benchmarks.scripted_model import ScriptedModel

TASKS = 64
DELAY = 0.2
ROUNDS = 3


async def _measure() -> float:
    model = ScriptedModel(
        reply=lambda messages: AIMessage(PATH[sum(m.type == "ai" for m in messages) % len(PATH)]),
        delay=DELAY,
    )
    graph = episode.build(agent=model).compile()
    inputs = EpisodeInput(task=TASK)
    config = RunnableConfig(recursion_limit=10 * STEPS)
    start = time.perf_counter()
    await asyncio.gather(*(graph.ainvoke(inputs, config) for _ in range(TASKS)))
    return DELAY * STEPS / (time.perf_counter() - start)


def main() -> None:
    """Print the share of the ideal throughput."""
    shares = [event_loop.run(_measure()) for _ in range(ROUNDS)]
    table = Table(title=f"{TASKS} tasks at once, {DELAY * 1000:.0f} ms a call, {STEPS} steps each")
    table.add_column(f"share of ideal throughput, median of {ROUNDS}", justify="right")
    table.add_row(f"{100 * statistics.median(shares):.1f} %")
    Console().print(table)


if __name__ == "__main__":
    main()
