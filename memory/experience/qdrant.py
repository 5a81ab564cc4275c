"""The experience memory in Qdrant, in this process or on a server."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Final, TypeVar

from langchain_core.embeddings import Embeddings
from typing_extensions import override

from apprentice.memory.experience import Experience
from apprentice.memory.experience import points as point_data
from apprentice.memory.experience.engine import Hit, Point, SearchEngine, Where
from apprentice.memory.experience.points import Draft
from apprentice.memory.experience.ranking import similarities
from apprentice.memory.experience.recall import BY_MEANING, candidates, search_text
from apprentice.memory.experience.upkeep import room, tidy, usage_report
from apprentice.memory.experience.words import NoEmbeddings, by_words
from apprentice.state.errors import BadInput, BrokenData
from apprentice.state.experience import (
    DatedVerdict,
    ExperienceReport,
    OutcomeFilter,
    Query,
    Recollection,
    RecordReceipt,
    StoredAttempt,
    Upkeep,
    in_seconds,
)
from apprentice.state.trajectory import Task, Trajectory, Verdict

CAPACITY: Final = 100_000
"""The largest number of attempts in a tenant's memory."""
_AT_ONCE: Final = 256
_PAGE: Final = 256
_TICK: Final = 1e-3  # the smallest difference between the times of two verdicts
_T = TypeVar("_T")


class QdrantExperience(Experience):
    """One tenant's attempts in a collection that tenants share.

    Args:
        engine: the collection.
        embeddings: the model for the dense vectors.
        tenant: the owner of the attempts.
        capacity: the largest number of attempts. Beyond it, the least useful tenth is evicted.
        clock: returns Unix time in seconds.
    """

    def __init__(
        self,
        engine: SearchEngine,
        embeddings: Embeddings,
        tenant: str,
        *,
        capacity: int = CAPACITY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.tenant = tenant
        self._engine = engine
        self._embeddings = embeddings
        self._capacity = capacity
        self._clock = clock
        self._room: int | None = None

    @override
    async def record(self, trajectories: Iterable[Trajectory]) -> RecordReceipt:
        by_id = {trajectory.id: trajectory for trajectory in map(self._own, trajectories)}
        now = self._clock()
        every = await asyncio.to_thread(_drafts_by_id, by_id, now)
        duplicates: list[str] = []
        new: list[str] = []
        for names in _in_batches(list(every), _AT_ONCE):
            there = await self._engine.stored_ids([every[name][0].id for name in names])
            fresh = [name for name in names if every[name][0].id not in there]
            await self._insert([draft for name in fresh for draft in every[name]])
            duplicates += [name for name in names if every[name][0].id in there]
            new += fresh
        await self._make_room(len(new), set(every))
        return RecordReceipt(tuple(new), tuple(duplicates))

    @override
    async def annotate(self, trajectory: str, verdict: Verdict, at: float | None = None) -> bool:
        before = await self._require(trajectory)
        latest = before.verdicts[-1] if before.verdicts else None
        if at is None:
            if latest and latest.verdict == verdict:
                return False
            at = max(self._clock(), _after(latest.at) if latest else 0.0)
        else:
            in_seconds(at)
        dated_verdict = DatedVerdict(verdict=verdict, at=at)
        if dated_verdict in before.verdicts:
            return False
        where = self._points_of(trajectory, "attempt")
        await self._engine.change(
            where, point_data.verdict_entry(dated_verdict), point_data.VERDICTS
        )
        last_settled: DatedVerdict | None = None
        while True:  # of concurrent callers, the last one reads every verdict
            now = await self._require(trajectory)
            if now.verdicts[-1] == last_settled:
                return True
            last_settled = now.verdicts[-1]
            await self._settle(now.trajectory)

    @override
    async def reflect(self, trajectory: str, reflection: str) -> None:
        stored = await self._require(trajectory)
        await self._insert(
            [point_data.reflection_draft(stored.trajectory, reflection, self._clock())]
        )

    @override
    async def recall(self, query: Query, count: Callable[[str], int] = len) -> list[Recollection]:
        if isinstance(self._embeddings, NoEmbeddings):
            query = by_words(query)
        vector: Sequence[float] = ()
        if query.how in BY_MEANING:
            vector = self._check_dimension(
                [await self._embeddings.aembed_query(search_text(query))]
            )[0]
        hits = await candidates(self._engine, query, self.tenant, vector)
        # Under a token budget, a shorter text further down may replace one that is too long.
        hits = hits[: 2 * query.limit if query.tokens else query.limit]
        budget = query.tokens or None
        recollections: list[Recollection] = []
        for hit, text in await self._whole(hits, vector):
            tokens = count(text)
            if len(recollections) < query.limit and (budget is None or tokens <= budget):
                budget = None if budget is None else budget - tokens
                recollections.append(_recollection(query, hit, text, tokens))
        return recollections

    @override
    async def get(self, trajectory: str) -> StoredAttempt | None:
        point = point_data.attempt_id(self.tenant, trajectory)
        return next(iter(await self._read(await self._engine.fetch([point]), _raise)), None)

    @override
    async def browse(
        self,
        *,
        environment: str = "",
        kind: str = "",
        outcome: OutcomeFilter | None = None,
        on_unreadable: Callable[[BrokenData], None] = lambda error: None,
    ) -> AsyncIterator[StoredAttempt]:
        has: dict[str, Sequence[str]] = {"tenant": [self.tenant], "point": ["attempt"]}
        if environment:
            has["environment"] = [environment]
        if kind:
            has["type"] = [kind]
        if outcome:
            has["outcome"] = point_data.OUTCOMES[outcome]
        after: str | None = None
        while True:
            page = await self._engine.page(Where(has), _PAGE, after)
            for each in await self._read(page.hits, on_unreadable):
                yield each
            after = page.after
            if after is None:
                return

    @override
    async def forget(self, trajectories: Sequence[str]) -> tuple[str, ...]:
        ids = {point_data.attempt_id(self.tenant, name): name for name in trajectories}
        there = await self._engine.stored_ids(list(ids))
        stored = tuple(name for each, name in ids.items() if each in there)
        for names in _in_batches(list(trajectories), _AT_ONCE):
            await self._engine.delete(Where({"tenant": [self.tenant], "trajectory": names}))
        self._room = None
        return stored

    @override
    async def report(self) -> ExperienceReport:
        return await usage_report(self._engine, self.tenant, self._capacity)

    @override
    async def tidy(self, capacity: int | None = None) -> Upkeep:
        return await self._tidy(capacity or self._capacity)

    @override
    async def optimize(self) -> None:
        await self._engine.optimize()

    async def _tidy(self, capacity: int, exempt: Set[str] = frozenset()) -> Upkeep:
        self._room = None
        return await tidy(self._engine, self.tenant, capacity, exempt)

    def _own(self, trajectory: Trajectory) -> Trajectory:
        if trajectory.tenant != self.tenant:
            raise BadInput(
                f"The trajectory {trajectory.id[:80]!r} belongs to the tenant "
                f"{trajectory.tenant!r}, but this is the memory of {self.tenant!r}. Record it in "
                "its tenant's memory."
            )
        return trajectory

    async def _require(self, trajectory: str) -> StoredAttempt:
        stored = await self.get(trajectory)
        if stored is None:
            raise BadInput(
                f"No trajectory {trajectory[:80]!r} is stored for the tenant {self.tenant!r}. "
                "Record it first, or check the id that `record` returned."
            )
        return stored

    async def _settle(self, trajectory: Trajectory) -> None:
        """Write a verdict to all points of a trajectory. A success also gets its steps."""
        for kind in point_data.SEARCHED:
            payload = point_data.verdict_fields(kind, trajectory)
            if kind == "attempt":
                payload["score"] = trajectory.verdict.score
            await self._engine.change(self._points_of(trajectory.id, kind), payload)
        await self._insert(point_data.steps(trajectory, self._clock()))

    def _points_of(self, trajectory: str, *kinds: point_data.Kind) -> Where:
        return Where({"tenant": [self.tenant], "trajectory": [trajectory], "point": kinds})

    async def _read(
        self, attempts: Sequence[Hit], on_unreadable: Callable[[BrokenData], None]
    ) -> list[StoredAttempt]:
        """Return the readable trajectories of attempts, each with its verdicts."""
        names = [hit.payload["trajectory"] for hit in attempts]
        ids = [point_data.document_id(self.tenant, name) for name in names]
        payloads = {hit.id: hit.payload for hit in await self._engine.fetch(ids)} if ids else {}
        read: list[StoredAttempt] = []
        for hit, document in zip(attempts, ids, strict=True):
            if document not in payloads:  # it was erased in the meantime
                continue
            try:
                read.append(point_data.read_attempt(hit.payload, payloads[document]))
            except BrokenData as error:
                on_unreadable(error)
        return read

    async def _insert(self, drafts: Sequence[Draft]) -> None:
        """Embed each text once and add the drafts in one call."""
        if not drafts:
            return
        texts = list({draft.text: None for draft in drafts if draft.text is not None})
        vectors = self._check_dimension(await self._embeddings.aembed_documents(texts))
        points = await asyncio.to_thread(_complete, drafts, dict(zip(texts, vectors, strict=True)))
        await self._engine.insert(points)

    def _check_dimension(self, vectors: list[list[float]]) -> list[list[float]]:
        """Return the vectors; raise BrokenData if one does not have the memory's dimension."""
        for vector in vectors:
            if len(vector) != self._engine.dimension:
                raise BrokenData(
                    f"The embeddings have {len(vector)} dimensions, but the experience memory was "
                    f"created with {self._engine.dimension}. Set APPRENTICE_EMBEDDINGS to the "
                    "model that it was created with, or export the memory and import it into an "
                    "empty one."
                )
        return vectors

    async def _whole(self, hits: Sequence[Hit], vector: Sequence[float]) -> list[tuple[Hit, str]]:
        """Return the hits with their texts. With a vector, their scores are similarities."""
        documents = {
            hit.id: point_data.document_id(self.tenant, hit.payload["trajectory"])
            for hit in hits
            if hit.payload["point"] == "attempt"
        }
        ids = [*(hit.id for hit in hits), *documents.values()]
        by_id = {hit.id: hit for hit in (await self._engine.fetch(ids) if ids else ())}
        # A trajectory may have been erased in the meantime.
        there = [hit for hit in hits if {hit.id, documents.get(hit.id, hit.id)} <= by_id.keys()]
        near = [hit.score for hit in there]
        if vector:
            near = similarities(vector, [by_id[hit.id].dense for hit in there])
        return [
            (
                by_id[hit.id]._replace(score=score),
                _shown(by_id[documents.get(hit.id, hit.id)]),
            )
            for hit, score in zip(there, near, strict=True)
        ]

    async def _make_room(self, count: int, exempt: Set[str]) -> None:
        """Evict the least useful tenth if the memory exceeds its capacity."""
        if self._room is None:
            self._room = await room(self._engine, self.tenant, self._capacity)
        else:
            self._room -= count
        if self._room < 0:
            await self._tidy(max(1, self._capacity * 9 // 10), exempt)


def _drafts_by_id(by_id: Mapping[str, Trajectory], now: float) -> dict[str, list[Draft]]:
    return {name: point_data.drafts(trajectory, now) for name, trajectory in by_id.items()}


def _complete(drafts: Sequence[Draft], vectors: Mapping[str, list[float]]) -> list[Point]:
    return [point_data.with_vectors(draft, vectors) for draft in drafts]


def _recollection(query: Query, hit: Hit, text: str, tokens: int) -> Recollection:
    payload = hit.payload
    return Recollection(
        trajectory=payload["trajectory"],
        task=Task.model_validate(json.loads(payload["about"])),
        what=query.what,
        text=text,
        score=hit.score,
        success={"success": True, "failure": False}.get(payload["outcome"]),
        tokens=tokens,
    )


def _shown(hit: Hit) -> str:
    if hit.payload["point"] == "document":
        return point_data.document_text(hit.payload)
    return str(hit.payload["shown"])


def _after(at: float) -> float:
    """Return a later time. It is later even if `at` is too large for the tick."""
    return max(at + _TICK, math.nextafter(at, math.inf))


def _raise(error: BrokenData) -> None:
    raise error


def _in_batches(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
