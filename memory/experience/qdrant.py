"""The experience memory in Qdrant, over either engine."""

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
from apprentice.memory.experience import points as made
from apprentice.memory.experience.engine import Hit, Point, SearchEngine, Where
from apprentice.memory.experience.points import Draft
from apprentice.memory.experience.ranking import similarities
from apprentice.memory.experience.recall import BY_MEANING, asked, candidates
from apprentice.memory.experience.upkeep import room, tidied, used
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
from apprentice.state.nouns import Task, Trajectory, Verdict

CAPACITY: Final = 100_000
"""Attempts that a tenant's memory holds."""
_AT_ONCE: Final = 256
_PAGE: Final = 256
_TICK: Final = 1e-3  # the least by which a later verdict is later
_T = TypeVar("_T")


class QdrantExperience(Experience):
    """One tenant's attempts in a collection that tenants share.

    Args:
        engine: the collection.
        embeddings: makes the dense vectors.
        tenant: whose attempts these are.
        capacity: how many are held; when it is reached, the least useful tenth goes.
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
        given = {trajectory.id: trajectory for trajectory in map(self._own, trajectories)}
        now = self._clock()
        every = await asyncio.to_thread(_drafted, given, now)
        known: list[str] = []
        new: list[str] = []
        for names in _in_batches(list(every), _AT_ONCE):
            there = await self._engine.known([every[name][0].id for name in names])
            fresh = [name for name in names if every[name][0].id not in there]
            await self._insert([draft for name in fresh for draft in every[name]])
            known += [name for name in names if every[name][0].id in there]
            new += fresh
        await self._make_room(len(new), set(every))
        return RecordReceipt(tuple(new), tuple(known))

    @override
    async def annotate(self, trajectory: str, verdict: Verdict, at: float | None = None) -> bool:
        before = await self._existing(trajectory)
        latest = before.verdicts[-1] if before.verdicts else None
        if at is None:
            if latest and latest.verdict == verdict:
                return False
            at = max(self._clock(), _after(latest.at) if latest else 0.0)
        else:
            in_seconds(at)
        given = DatedVerdict(verdict=verdict, at=at)
        if given in before.verdicts:
            return False
        where = self._points_of(trajectory, "attempt")
        await self._engine.change(where, made.judged(given), made.VERDICTS)
        settled: DatedVerdict | None = None
        while True:  # of those who judge at once, the last to look sees every verdict
            now = await self._existing(trajectory)
            if now.verdicts[-1] == settled:
                return True
            settled = now.verdicts[-1]
            await self._settle(now.trajectory)

    @override
    async def reflect(self, trajectory: str, lesson: str) -> None:
        kept = await self._existing(trajectory)
        await self._insert([made.reflection(kept.trajectory, lesson, self._clock())])

    @override
    async def recall(self, query: Query, count: Callable[[str], int] = len) -> list[Recollection]:
        if isinstance(self._embeddings, NoEmbeddings):
            query = by_words(query)
        vector: Sequence[float] = ()
        if query.how in BY_MEANING:
            vector = self._measured([await self._embeddings.aembed_query(asked(query))])[0]
        ranked = await candidates(self._engine, query, self.tenant, vector)
        # Under a budget, what is too long makes way for what comes after it.
        ranked = ranked[: 2 * query.limit if query.tokens else query.limit]
        left = query.tokens or None
        recalled: list[Recollection] = []
        for hit, text in await self._whole(ranked, vector):
            tokens = count(text)
            if len(recalled) < query.limit and (left is None or tokens <= left):
                left = None if left is None else left - tokens
                recalled.append(_recalled(query, hit, text, tokens))
        return recalled

    @override
    async def get(self, trajectory: str) -> StoredAttempt | None:
        point = made.attempt_id(self.tenant, trajectory)
        return next(iter(await self._read(await self._engine.fetch([point]), _raised)), None)

    @override
    async def browse(
        self,
        *,
        environment: str = "",
        kind: str = "",
        outcome: OutcomeFilter | None = None,
        unread: Callable[[BrokenData], None] = lambda error: None,
    ) -> AsyncIterator[StoredAttempt]:
        has: dict[str, Sequence[str]] = {"tenant": [self.tenant], "point": ["attempt"]}
        if environment:
            has["environment"] = [environment]
        if kind:
            has["type"] = [kind]
        if outcome:
            has["outcome"] = made.OUTCOMES[outcome]
        after: str | None = None
        while True:
            page = await self._engine.page(Where(has), _PAGE, after)
            for each in await self._read(page.hits, unread):
                yield each
            after = page.after
            if after is None:
                return

    @override
    async def forget(self, trajectories: Sequence[str]) -> tuple[str, ...]:
        ids = {made.attempt_id(self.tenant, name): name for name in trajectories}
        there = await self._engine.known(list(ids))
        kept = tuple(name for each, name in ids.items() if each in there)
        for names in _in_batches(list(trajectories), _AT_ONCE):
            await self._engine.delete(Where({"tenant": [self.tenant], "trajectory": names}))
        self._room = None
        return kept

    @override
    async def report(self) -> ExperienceReport:
        return await used(self._engine, self.tenant, self._capacity)

    @override
    async def tidy(self, capacity: int | None = None) -> Upkeep:
        return await self._tidied(capacity or self._capacity)

    @override
    async def optimize(self) -> None:
        await self._engine.optimize()

    async def _tidied(self, capacity: int, spared: Set[str] = frozenset()) -> Upkeep:
        self._room = None
        return await tidied(self._engine, self.tenant, capacity, spared)

    def _own(self, trajectory: Trajectory) -> Trajectory:
        if trajectory.tenant != self.tenant:
            raise BadInput(
                f"The trajectory {trajectory.id[:80]!r} is of the tenant {trajectory.tenant!r}, "
                f"but this is the memory of {self.tenant!r}. Record it in its own tenant's."
            )
        return trajectory

    async def _existing(self, trajectory: str) -> StoredAttempt:
        kept = await self.get(trajectory)
        if kept is None:
            raise BadInput(
                f"No trajectory {trajectory[:80]!r} is kept for the tenant {self.tenant!r}. Record "
                "it first, or check the id: recording returns it."
            )
        return kept

    async def _settle(self, trajectory: Trajectory) -> None:
        """Give every point of a trajectory its verdict; a success gains its steps."""
        for kind in made.SEARCHED:
            payload = made.standing(kind, trajectory)
            if kind == "attempt":
                payload["score"] = trajectory.verdict.score
            await self._engine.change(self._points_of(trajectory.id, kind), payload)
        await self._insert(made.steps(trajectory, self._clock()))

    def _points_of(self, trajectory: str, *kinds: made.Kind) -> Where:
        return Where({"tenant": [self.tenant], "trajectory": [trajectory], "point": kinds})

    async def _read(
        self, attempts: Sequence[Hit], unread: Callable[[BrokenData], None]
    ) -> list[StoredAttempt]:
        """Return the trajectories of attempts that can be read, each with its verdicts."""
        names = [hit.payload["trajectory"] for hit in attempts]
        ids = [made.document_id(self.tenant, name) for name in names]
        found = {hit.id: hit.payload for hit in await self._engine.fetch(ids)} if ids else {}
        read: list[StoredAttempt] = []
        for hit, document in zip(attempts, ids, strict=True):
            if document not in found:  # it was forgotten at this moment
                continue
            try:
                read.append(made.remembered(hit.payload, found[document]))
            except BrokenData as error:
                unread(error)
        return read

    async def _insert(self, drafts: Sequence[Draft]) -> None:
        """Embed drafts, each text once, and add them, those of a trajectory together."""
        if not drafts:
            return
        texts = list({draft.text: None for draft in drafts if draft.text is not None})
        vectors = self._measured(await self._embeddings.aembed_documents(texts))
        points = await asyncio.to_thread(_finished, drafts, dict(zip(texts, vectors, strict=True)))
        await self._engine.insert(points)

    def _measured(self, vectors: list[list[float]]) -> list[list[float]]:
        """Refuse vectors of another dimension than the memory's."""
        for vector in vectors:
            if len(vector) != self._engine.dimension:
                raise BrokenData(
                    f"The embeddings have {len(vector)} dimensions, but the experience memory was "
                    f"made with {self._engine.dimension}. Set APPRENTICE_EMBEDDINGS to the model "
                    "that it was made with, or export the memory and import it into an empty one."
                )
        return vectors

    async def _whole(self, ranked: Sequence[Hit], vector: Sequence[float]) -> list[tuple[Hit, str]]:
        """Return the points that were chosen, with how near they are and what is shown of them."""
        documents = {
            hit.id: made.document_id(self.tenant, hit.payload["trajectory"])
            for hit in ranked
            if hit.payload["point"] == "attempt"
        }
        ids = [*(hit.id for hit in ranked), *documents.values()]
        found = {hit.id: hit for hit in (await self._engine.fetch(ids) if ids else ())}
        # One may have been forgotten at this moment.
        there = [hit for hit in ranked if {hit.id, documents.get(hit.id, hit.id)} <= found.keys()]
        near = [hit.score for hit in there]
        if vector:
            near = similarities(vector, [found[hit.id].dense for hit in there])
        return [
            (found[hit.id]._replace(score=score), _shown(found[documents.get(hit.id, hit.id)]))
            for hit, score in zip(there, near, strict=True)
        ]

    async def _make_room(self, recorded: int, spared: Set[str]) -> None:
        """Let the least useful tenth go once the memory is over its capacity."""
        if self._room is None:
            self._room = await room(self._engine, self.tenant, self._capacity)
        else:
            self._room -= recorded
        if self._room < 0:
            await self._tidied(max(1, self._capacity * 9 // 10), spared)


def _drafted(given: Mapping[str, Trajectory], now: float) -> dict[str, list[Draft]]:
    return {name: made.drafts(trajectory, now) for name, trajectory in given.items()}


def _finished(drafts: Sequence[Draft], vectors: Mapping[str, list[float]]) -> list[Point]:
    return [made.finished(draft, vectors) for draft in drafts]


def _recalled(query: Query, hit: Hit, text: str, tokens: int) -> Recollection:
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
        return made.shown(hit.payload)
    return str(hit.payload["shown"])


def _after(at: float) -> float:
    """Return a time that is later, however large it is."""
    return max(at + _TICK, math.nextafter(at, math.inf))


def _raised(error: BrokenData) -> None:
    raise error


def _in_batches(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
