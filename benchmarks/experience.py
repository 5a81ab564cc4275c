"""The speed of the memory, compared with qdrant-client's local mode and a flat scan.

Run `python -m benchmarks.experience`; `--sizes 1000,10000,100000` measures all sizes. A trajectory
has a vector of 384 dimensions, a transcript of some thousand characters, and an instruction of a
few dozen words. All engines answer the same queries with the same filter. A warm-up of at most five
seconds runs the queries once before they are timed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from langchain_core.embeddings import Embeddings
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage
from qdrant_client import AsyncQdrantClient
from rich.console import Console
from rich.table import Table

from apprentice.memory.experience.edge import EdgeEngine
from apprentice.memory.experience.engine import SearchEngine
from apprentice.memory.experience.points import sparse
from apprentice.memory.experience.qdrant import QdrantExperience
from apprentice.memory.experience.ranking import fuse
from apprentice.memory.experience.recall import recall_filter
from apprentice.memory.experience.server import ServerEngine
from apprentice.models.minilm import local_embeddings
from apprentice.state.experience import Query
from apprentice.state.trajectory import Task, Trajectory, Verdict

DIMENSION: Final = 384
QUESTIONS: Final = 200
WARM_UP: Final = 5.0  # seconds
LIMIT: Final = 5
DEPTH: Final = 20  # candidates that each ranking gives to the fusion
BATCH: Final = 256
TOPICS: Final = 300
LOCAL_AT_MOST: Final = 10_000  # above this, filling qdrant-client's local mode takes minutes
EMBEDDED: Final = 256
ENVIRONMENTS: Final = ("helpdesk", "household/north/small")
WORDS: Final = """
refund parcel invoice account password delivery order address mug plate shelf drawer clean heat
cool lamp table sink fridge cabinet knife towel soap bottle book phone return exchange cancel
change update find put take move open close look examine charge card bank transfer
"""
REOPEN: Final = r"""
import asyncio, json, random, re, sys, time
from pathlib import Path
from apprentice.memory.experience.edge import EdgeEngine
from apprentice.memory.experience.engine import Where

async def main():
    began = time.perf_counter()
    engine = EdgeEngine.open(Path(sys.argv[1]), "given", lambda: 0)
    seconds = time.perf_counter() - began
    for _ in range(200):
        vector = [random.gauss(0, 1) for _ in range(engine.dimension)]
        await engine.nearest([vector], Where({"tenant": ["default"]}), 40)
    held = re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    print(json.dumps([seconds, int(held[0])]))
    await engine.close()

asyncio.run(main())
"""

Row = np.ndarray[tuple[int], np.dtype[np.float32]]


class PreparedVectors(Embeddings):
    """Returns vectors that were made before, so that only the memory is timed.

    The vectors form clusters by topic, as those of real texts do. The first word of a text is its
    topic.
    """

    def __init__(self) -> None:
        self._draw = np.random.default_rng(0)
        self._topics = self._draw.normal(size=(TOPICS, DIMENSION))
        self.rows: dict[str, Row] = {}

    def prepare(self, texts: Sequence[str]) -> None:
        """Make the vectors of texts."""
        for text in texts:
            topic = self._topics[int(text.split()[0].removeprefix("topic"))]
            row = topic + self._draw.normal(size=DIMENSION)
            self.rows[text] = (row / np.linalg.norm(row)).astype(np.float32)

    def embed_query(self, text: str) -> list[float]:
        """Return a text's vector."""
        vector: list[float] = self.rows[text].tolist()
        return vector

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the texts' vectors."""
        return [self.embed_query(text) for text in texts]

    async def aembed_query(self, text: str) -> list[float]:
        """Return a text's vector."""
        return self.embed_query(text)

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the texts' vectors."""
        return self.embed_documents(texts)


class Flat:
    """The exact peer: it compares every vector and filters with a mask."""

    def __init__(self, attempts: Sequence[Trajectory], vectors: PreparedVectors) -> None:
        self.ids = [attempt.id for attempt in attempts]
        self._rows = np.stack([vectors.rows[attempt.task.instruction] for attempt in attempts])
        self._environments = np.array([attempt.task.environment for attempt in attempts])
        self._vectors = vectors

    def nearest(self, query: Query, limit: int) -> dict[str, float]:
        """Return the ids of the nearest attempts, with their similarity."""
        near = self._rows @ self._vectors.rows[query.task.instruction]
        near[self._environments != query.task.environment] = -np.inf
        places = np.argpartition(-near, limit)[:limit]
        return {self.ids[place]: float(near[place]) for place in places}


class Line(NamedTuple):
    """The measurements of one engine."""

    name: str
    size: int
    record_rate: float  # attempts a second, in batches
    hybrid: Times
    diverse: Times
    meaning: Times
    recall: float


class Times(NamedTuple):
    """Milliseconds, sorted."""

    values: list[float]

    @property
    def p50(self) -> float:
        """Return the median."""
        return statistics.median(self.values)

    @property
    def p99(self) -> float:
        """Return the 99th percentile."""
        return self.values[min(len(self.values) - 1, round(0.99 * len(self.values)))]


def trajectories(count: int, rng: random.Random) -> Iterator[Trajectory]:
    """Yield attempts that are like real ones in size and variety."""
    for number in range(count):
        task = Task(
            id=f"train/{number}",
            environment=rng.choice(ENVIRONMENTS),
            instruction=_text(rng, 20),
            kind=rng.choice(("clean", "heat", "refund", "address")),
        )
        messages: list[AnyMessage] = [SystemMessage(_text(rng, 60)), HumanMessage(_text(rng, 60))]
        for _ in range(8):
            messages += [AIMessage(_text(rng, 8)), HumanMessage(_text(rng, 30))]
        yield Trajectory(
            id=f"t{number}",
            task=task,
            messages=tuple(messages),
            # A failure has no steps, so each trajectory is one point and the sizes are comparable.
            verdict=Verdict(success=False, score=rng.random()),
            ended_at=float(number),
        )


def questions(count: int, rng: random.Random) -> list[Query]:
    """Return queries, half of them in each environment."""
    return [
        Query(
            task=Task(
                id=f"test/{number}",
                environment=ENVIRONMENTS[number % 2],
                instruction=_text(rng, 20),
                split="test",
            ),
            outcome="failures",
            limit=LIMIT,
        )
        for number in range(count)
    ]


def _text(rng: random.Random, words: int) -> str:
    return f"topic{rng.randrange(TOPICS)} " + " ".join(rng.choices(WORDS.split(), k=words))


class Bench:
    """The attempts and queries of one size, the same for every engine."""

    def __init__(self, size: int) -> None:
        rng = random.Random(size)
        self.attempts = list(trajectories(size, rng))
        self.queries = questions(QUESTIONS, rng)
        self.vectors = PreparedVectors()
        self.vectors.prepare([attempt.task.instruction for attempt in self.attempts])
        self.vectors.prepare([query.task.instruction for query in self.queries])
        self.flat = Flat(self.attempts, self.vectors)

    async def fill(self, engine: SearchEngine) -> float:
        """Record all attempts in batches; return attempts a second."""
        memory = self._memory(engine)
        start = time.perf_counter()
        for start in range(0, len(self.attempts), BATCH):
            await memory.record(self.attempts[start : start + BATCH])
        return len(self.attempts) / (time.perf_counter() - start)

    async def ask(self, name: str, engine: SearchEngine, record_rate: float) -> Line:
        """Run all queries in each way of recall, and return the measurements."""
        memory = self._memory(engine)
        hybrid, diverse, meaning = [
            await _time_calls(
                [partial(memory.recall, query.model_copy(update=way)) for query in self.queries]
            )
            for way in ({"how": "hybrid"}, {"diversity": 0.3}, {"how": "meaning"})
        ]
        shares = [await self._share_found(engine, query) for query in self.queries]
        return Line(
            name, len(self.attempts), record_rate, hybrid, diverse, meaning, statistics.mean(shares)
        )

    def scan(self) -> Times:
        """Return the times of the flat scan, which searches by meaning only."""
        times = []
        for query in self.queries:
            start = time.perf_counter()
            self.flat.nearest(query, LIMIT)
            times.append(1000 * (time.perf_counter() - start))
        return Times(sorted(times))

    async def _share_found(self, engine: SearchEngine, query: Query) -> float:
        """Return the share of the exact hybrid answer that an engine finds."""
        where = recall_filter(query, "default")
        vector = self.vectors.embed_query(query.task.instruction)
        words = sparse(query.task.instruction, query=True)
        by_meaning, by_words = [
            {hit.payload["trajectory"]: hit.score for hit in ranking}
            for ranking in await engine.nearest([vector, words], where, DEPTH)
        ]
        exact = set(list(fuse([self.flat.nearest(query, DEPTH), by_words]))[:LIMIT])
        return len(exact & set(list(fuse([by_meaning, by_words]))[:LIMIT])) / LIMIT

    def _memory(self, engine: SearchEngine) -> QdrantExperience:
        return QdrantExperience(engine, self.vectors, "default", capacity=10_000_000)


async def _time_calls(calls: Sequence[Callable[[], Awaitable[object]]]) -> Times:
    until = time.perf_counter() + WARM_UP
    for call in calls:  # the first call reads the data from disk
        await call()
        if time.perf_counter() > until:
            break
    times = []
    for call in calls:
        start = time.perf_counter()
        await call()
        times.append(1000 * (time.perf_counter() - start))
    return Times(sorted(times))


async def _dimension() -> int:
    return DIMENSION


async def measure(size: int, folder: Path, console: Console) -> None:
    """Print the table of one size."""
    bench = Bench(size)
    lines: list[Line] = []
    engine = EdgeEngine.open(folder, "given", lambda: DIMENSION)
    record_rate = await bench.fill(engine)
    lines.append(await bench.ask("Qdrant Edge, as recorded", engine, record_rate))
    start = time.perf_counter()
    await engine.optimize()
    optimize_seconds = time.perf_counter() - start
    lines.append(await bench.ask("Qdrant Edge, optimized", engine, record_rate))
    await engine.close()
    if size <= LOCAL_AT_MOST:
        with warnings.catch_warnings(action="ignore"):
            local = await ServerEngine.open(AsyncQdrantClient(":memory:"), "given", _dimension)
        record_rate = await bench.fill(local)
        lines.append(await bench.ask("qdrant-client local mode", local, record_rate))
        await local.close()
    console.print(_table(size, lines, bench.scan()))
    seconds, megabytes = _time_reopening(folder)
    console.print(
        f"{size:,} attempts: optimize took {optimize_seconds:.1f} s. A new process opens the "
        f"folder in {seconds:.2f} s and uses {megabytes:.0f} MB after {QUESTIONS} searches.\n"
    )


def _table(size: int, lines: Sequence[Line], scan: Times) -> Table:
    table = Table(title=f"{size:,} attempts, milliseconds a recall", title_justify="left")
    for column in (
        *("", "recorded/s", "hybrid p50", "p99", "with MMR p50", "p99", "by meaning p50", "p99"),
        *(f"recall@{LIMIT}", "hybrid p50 / Edge optimized"),
    ):
        table.add_column(column, justify="right" if column else "left")
    ours = lines[1].hybrid.p50
    for line in lines:
        times = [line.hybrid, line.diverse, line.meaning]
        table.add_row(
            line.name,
            f"{line.record_rate:,.0f}",
            *(f"{value:.2f}" for each in times for value in (each.p50, each.p99)),
            f"{line.recall:.3f}",
            f"{line.hybrid.p50 / ours:.2f}",
        )
    nothing = ("-",) * 4
    table.add_row(
        "flat NumPy scan", "-", *nothing, f"{scan.p50:.2f}", f"{scan.p99:.2f}", "1.000", "-"
    )
    return table


def _time_reopening(folder: Path) -> tuple[float, float]:
    """Return the seconds to open the folder in a new process, and its memory after searches."""
    process = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", REOPEN, str(folder)], capture_output=True, text=True, check=True
    )
    seconds, kilobytes = json.loads(process.stdout)
    return seconds, kilobytes / 1024


async def embedding(folder: Path, console: Console) -> None:
    """Print the time that embedding adds, with the embedded model."""
    model = local_embeddings("minilm")
    await model.aembed_query("Load the weights.")
    rng = random.Random(1)
    texts = [_text(rng, 20) for _ in range(50)]
    times = await _time_calls([partial(model.aembed_query, text) for text in texts])
    engine = EdgeEngine.open(folder, "local:minilm", lambda: DIMENSION)
    memory = QdrantExperience(engine, model, "default")
    attempts = list(trajectories(EMBEDDED, rng))
    start = time.perf_counter()
    await memory.record(attempts)
    rate = EMBEDDED / (time.perf_counter() - start)
    await engine.close()
    console.print(
        f"Embedding a query with local:minilm takes {times.p50:.1f} ms (p99 {times.p99:.1f}); "
        f"recording with it, a batch of {EMBEDDED} at once, {rate:,.0f} attempts a second."
    )


async def run(sizes: Sequence[int]) -> None:
    """Measure every size."""
    console = Console(width=160)
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            await measure(size, Path(folder) / f"{size}", console)
        await embedding(Path(folder) / "embedded", console)


def main(sizes: Sequence[int] = (1_000, 10_000)) -> None:
    """Print the tables."""
    asyncio.run(run(sizes))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sizes", default="1000,10000", help="attempts in the memory, separated by commas"
    )
    main([int(size) for size in parser.parse_args().sizes.split(",")])
