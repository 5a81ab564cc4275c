"""Record one trajectory after another until killed: `python -m … FOLDER FIRST`.

A number is printed once its trajectory is acknowledged; every third is a batch of three.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

from apprentice.memory.experience.edge import EdgeEngine
from apprentice.memory.experience.qdrant import QdrantExperience
from tests.memory.experience.attempts import Words, attempt, task


async def main(folder: str, first: int) -> None:
    """Record until the process is killed."""
    engine = EdgeEngine.open(Path(folder), "words", lambda: Words.dimension)
    memory = QdrantExperience(engine, Words(), "team")
    for number in itertools.count(first):
        names = [f"{number}"] if number % 3 else [f"{number}", f"{number}b", f"{number}c"]
        await memory.record([attempt(task(name), name=name) for name in names])
        print(number, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
