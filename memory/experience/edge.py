"""Qdrant in this process, on a folder of its own.

The engine's calls block, so they run in a single thread, one after the other. Qdrant writes every
update to a write-ahead log before the call returns.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import qdrant_edge as qdrant

from apprentice.memory.experience.engine import (
    DENSE,
    KEYWORDS,
    RANKING,
    SPARSE,
    TIME,
    Hit,
    Page,
    Point,
    Sparse,
    Where,
)
from apprentice.memory.experience.folder import (
    HALF_MADE,
    MARK,
    SHARD,
    layout_of,
    release_lock,
    take_lock,
)
from apprentice.memory.experience.layout import Layout
from apprentice.state.errors import BrokenData

_RANKING = list(RANKING)
# Up to this size in KB, Qdrant scans all vectors that pass a filter, which is exact. With 384
# dimensions, this is 650 points. Above it, Qdrant searches an optimized segment by its graph.
_SCANNED_KB: Final = 1_000
# Up to this number of points that pass a filter, Qdrant reads their words one by one. Above it,
# Qdrant uses the inverted index. In optimized segments of 10,000 points, with 5,000 of them
# passing, the index takes a tenth of the time.
_LISTED: Final = 100
_T = TypeVar("_T")


class EdgeEngine:
    """An open folder. Create it with `open`."""

    def __init__(
        self, shard: qdrant.EdgeShard, layout: Layout, lock: sqlite3.Connection, folder: Path
    ) -> None:
        self._shard = shard
        self._layout = layout
        self._lock = lock
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="experience")

    @classmethod
    def open(cls, folder: Path, embedding: str, dimension: Callable[[], int]) -> Self:
        """Open a folder, or create it; blocking.

        Args:
            folder: the folder of the memory.
            embedding: the name of the embedding model.
            dimension: returns the size of a dense vector. It is called only for a new folder.

        Raises:
            MissingPart: another process has the folder open.
            BrokenData: the folder is damaged, holds no memory, or has another schema or embedding.
        """
        shard = folder / SHARD
        lock = take_lock(folder)
        try:
            if not shard.exists():
                _create(shard, Layout(embedding=embedding, dimension=dimension()))
            layout = layout_of(shard)
            layout.expect(embedding, f"The experience memory {folder}")
            return cls(_load(shard), layout, lock, folder)
        except BaseException:
            release_lock(folder, lock)
            raise

    @property
    def dimension(self) -> int:
        """The size of a dense vector."""
        return self._layout.dimension

    async def insert(self, points: Sequence[Point]) -> None:
        """Add the points whose id is new."""
        await self._run(lambda: self._shard.update(_insertion(points)))

    async def stored_ids(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that are stored."""
        records = await self._run(lambda: self._shard.retrieve(list(ids), False, False))
        return {str(record.id) for record in records}

    async def fetch(self, ids: Sequence[str]) -> list[Hit]:
        """Return the stored points with these ids, with payloads and dense vectors."""
        records = await self._run(lambda: self._shard.retrieve(list(ids), True, [DENSE]))
        return [_hit(record, 0.0) for record in records]

    async def nearest(
        self,
        vectors: Sequence[Sequence[float] | Sparse],
        where: Where,
        limit: int,
        *,
        dense: bool = False,
    ) -> list[list[Hit]]:
        """Return the nearest points of each vector."""
        requests = [
            qdrant.QueryRequest(
                limit=limit,
                query=_nearest(vector),
                filter=_filter(where),
                with_payload=False,
                with_vector=False,
            )
            for vector in vectors
        ]
        # One query after the other takes two thirds of the time of the engine's batches.
        return await self._run(
            lambda: self._with_fields([self._shard.query(query) for query in requests], dense)
        )

    async def latest(self, where: Where, limit: int) -> list[Hit]:
        """Return the latest points."""
        request = qdrant.QueryRequest(
            limit=limit,
            query=qdrant.OrderBy(TIME, qdrant.Direction.Desc),
            filter=_filter(where),
            with_payload=_RANKING,
        )
        points = await self._run(lambda: self._shard.query(request))
        return [_hit(point, 0.0) for point in points]

    async def page(
        self, where: Where, limit: int, after: str | None, fields: Sequence[str] = ()
    ) -> Page:
        """Return points in the order of their ids."""
        request = qdrant.ScrollRequest(
            offset=after,
            limit=limit,
            filter=_filter(where),
            with_payload=list(fields) or True,
            with_vector=False,
        )
        records, next_id = await self._run(lambda: self._shard.scroll(request))
        hits = [Hit(str(record.id), 0.0, record.payload or {}) for record in records]
        return Page(hits, None if next_id is None else str(next_id))

    async def change(self, where: Where, payload: Mapping[str, Any], key: str = "") -> None:
        """Set fields of points."""
        change = qdrant.UpdateOperation.set_payload_by_filter(
            _filter(where), dict(payload), key or None
        )
        await self._run(lambda: self._shard.update(change))

    async def delete(self, where: Where) -> None:
        """Delete points."""
        deletion = qdrant.UpdateOperation.delete_points_by_filter(_filter(where))
        await self._run(lambda: self._shard.update(deletion))

    async def count(self, where: Where) -> int:
        """Return how many points there are."""
        request = qdrant.CountRequest(exact=True, filter=_filter(where))
        return await self._run(lambda: self._shard.count(request))

    async def optimize(self) -> None:
        """Rebuild the indexes. The whole process stops meanwhile."""
        await self._run(self._shard.optimize)

    async def close(self) -> None:
        """Close the folder and release its lock."""
        await self._run(self._shard.close)
        self._thread.shutdown()
        release_lock(self._folder, self._lock)

    def _with_fields(
        self, rankings: Sequence[Sequence[qdrant.ScoredPoint]], dense: bool
    ) -> list[list[Hit]]:
        """Read the ranking fields of the points, once per point; blocking."""
        ids = list({point.id: None for points in rankings for point in points})
        records = self._shard.retrieve(ids, _RANKING, [DENSE] if dense else False)
        fields = {record.id: _hit(record, 0.0) for record in records}
        return [
            [fields[point.id]._replace(score=point.score) for point in points]
            for points in rankings
        ]

    async def _run(self, call: Callable[[], _T]) -> _T:
        # A call that has started is finished even if the caller is cancelled.
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


def _create(shard: Path, layout: Layout) -> None:
    """Create an empty shard. A failure leaves no shard."""
    half_made = shard.with_name(HALF_MADE)
    shutil.rmtree(half_made, ignore_errors=True)
    half_made.mkdir()
    empty_shard = qdrant.EdgeShard.create(str(half_made), _config(layout.dimension))
    for name in KEYWORDS:
        keyword = qdrant.KeywordIndexParams(is_tenant=name == "tenant")
        empty_shard.update(qdrant.UpdateOperation.create_field_index(name, keyword))
    number = qdrant.PayloadSchemaType.Float
    empty_shard.update(qdrant.UpdateOperation.create_field_index(TIME, number))
    empty_shard.close()
    (half_made / MARK).write_text(layout.model_dump_json())
    half_made.rename(shard)


def _load(shard: Path) -> qdrant.EdgeShard:
    try:
        return qdrant.EdgeShard.load(str(shard))
    except Exception as error:  # the engine has no error class of its own
        reason = " ".join(str(error).split())[:300]
        raise BrokenData(
            f"The experience memory {shard.parent} cannot be opened ({reason}). Nothing in it was "
            "changed. Restore it from a backup, or move it away and import an exported JSONL."
        ) from error


def _config(dimension: int) -> qdrant.EdgeConfig:
    return qdrant.EdgeConfig(
        vectors={DENSE: qdrant.EdgeVectorParams(dimension, qdrant.Distance.Cosine)},
        sparse_vectors={
            SPARSE: qdrant.EdgeSparseVectorParams(_LISTED, modifier=qdrant.Modifier.Idf)
        },
        hnsw_config=qdrant.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=_SCANNED_KB),
    )


def _insertion(points: Sequence[Point]) -> qdrant.UpdateOperation:
    structs = [qdrant.Point(point.id, _vectors(point), point.payload) for point in points]
    return qdrant.UpdateOperation.upsert_points(structs, None, qdrant.UpdateMode.InsertOnly)


def _vectors(point: Point) -> dict[str, Any]:
    if point.dense is None or point.sparse is None:
        return {}
    return {DENSE: point.dense, SPARSE: qdrant.SparseVector(*point.sparse)}


def _nearest(vector: Sequence[float] | Sparse) -> qdrant.Query:
    if isinstance(vector, Sparse):
        return qdrant.Query.Nearest(qdrant.SparseVector(*vector), using=SPARSE)
    return qdrant.Query.Nearest(list(vector), using=DENSE)


def _filter(where: Where) -> qdrant.Filter:
    return qdrant.Filter(must=_conditions(where.has), must_not=_conditions(where.lacks))


def _conditions(fields: Mapping[str, Sequence[str]]) -> list[Any]:
    return [
        qdrant.FieldCondition(name, match=qdrant.MatchAny(list(values)))
        for name, values in fields.items()
    ]


def _hit(point: qdrant.ScoredPoint | qdrant.Record, score: float) -> Hit:
    vectors: Any = point.vector or {}
    return Hit(str(point.id), score, point.payload or {}, vectors.get(DENSE, ()))
