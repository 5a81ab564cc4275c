"""The speed of reading a long log of rules: `python -m benchmarks.rulebook_log`."""

from __future__ import annotations

import asyncio
import time

from langgraph.store.base import PutOp
from langgraph.store.memory import InMemoryStore
from rich.console import Console
from rich.table import Table

from apprentice.memory.rulebook import RulebookLog
from apprentice.state.rulebook import Batch, Operation, batch_key

BATCHES = 5_000
ROUNDS = 7


def batches() -> list[Batch]:
    """Return a log in which each batch adds a rule and confirms it three times."""
    log = []
    for number in range(BATCHES):
        rule = f"{number:05}"
        text = f"Rule {rule} is true."
        operations = [Operation(kind="ADD", rule=rule, text=text, weight=2)]
        operations += [Operation(kind="AGREE", rule=rule, text=text, weight=1)] * 3
        key = batch_key("run", number)
        log.append(
            Batch(key=key, operations=tuple(operations), run="run", index=number, time=number)
        )
    return log


async def main() -> None:
    """Print the processor time of the first read, and the shortest of later reads."""
    store = InMemoryStore()
    await store.abatch(
        PutOp(
            ("rulebook", "default", "default", batch.key),
            "batch",
            batch.model_dump(mode="json"),
            index=False,
        )
        for batch in batches()
    )
    log = RulebookLog(store)
    seconds = []
    for _ in range(ROUNDS + 1):
        start = time.process_time()
        await log.load()
        seconds.append(time.process_time() - start)
    table = Table(title=f"A log of {BATCHES * 4:,} operations")
    for column in ("read first", f"read again, best of {ROUNDS}"):
        table.add_column(column, justify="right")
    table.add_row(f"{seconds[0]:.2f} s", f"{1000 * min(seconds[1:]):.1f} ms")
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(main())
