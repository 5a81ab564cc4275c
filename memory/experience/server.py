"""Qdrant as a server or cluster, through its async client.

All tenants share one collection. Its layout is stored in the collection's metadata.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Self

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

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
from apprentice.memory.experience.layout import Layout
from apprentice.state.errors import BrokenData, MissingPart
from apprentice.state.redaction import public_message, redact

COLLECTION: Final = "apprentice-experience"
_CONFLICT: Final = 409
_PATIENCE: Final = 30
"""Seconds after which a server that does not answer counts as unreachable."""


class ServerEngine:
    """A collection on a server. Create it with `open`."""

    def __init__(self, client: AsyncQdrantClient, layout: Layout, collection: str) -> None:
        self._client = client
        self._layout = layout
        self._collection = collection

    @classmethod
    async def open(
        cls,
        client: AsyncQdrantClient,
        embedding: str,
        dimension: Callable[[], Awaitable[int]],
        collection: str = COLLECTION,
    ) -> Self:
        """Open the collection, or create it.

        Args:
            client: a client of the server. The engine closes it.
            embedding: the name of the embedding model.
            dimension: returns the size of a dense vector. It is called only for a new collection.
            collection: the collection's name.

        Raises:
            MissingPart: the server cannot be reached.
            BrokenData: the collection is no memory, or has another schema or embedding.
        """
        async with _as_sentences():
            if not await client.collection_exists(collection):
                layout = Layout(embedding=embedding, dimension=await dimension())
                await _create(client, layout, collection)
            collection_info = await client.get_collection(collection)
        what = f"The Qdrant collection {collection!r}"
        layout = Layout.read(json.dumps(collection_info.config.metadata), what)
        layout.expect(embedding, what)
        return cls(client, layout, collection)

    @property
    def dimension(self) -> int:
        """The size of a dense vector."""
        return self._layout.dimension

    async def insert(self, points: Sequence[Point]) -> None:
        """Add the points whose id is new."""
        structs = [
            models.PointStruct(id=point.id, vector=_vectors(point), payload=point.payload)
            for point in points
        ]
        async with _as_sentences():
            await self._client.upsert(
                self._collection, structs, wait=True, update_mode=models.UpdateMode.INSERT_ONLY
            )

    async def stored_ids(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that are stored."""
        async with _as_sentences():
            records = await self._client.retrieve(self._collection, list(ids), with_payload=False)
        return {str(record.id) for record in records}

    async def fetch(self, ids: Sequence[str]) -> list[Hit]:
        """Return the stored points with these ids, with payloads and dense vectors."""
        async with _as_sentences():
            records = await self._client.retrieve(
                self._collection, list(ids), with_payload=True, with_vectors=[DENSE]
            )
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
            models.QueryRequest(
                query=_sparse(vector) if isinstance(vector, Sparse) else list(vector),
                using=SPARSE if isinstance(vector, Sparse) else DENSE,
                limit=limit,
                filter=_filter(where),
                with_payload=list(RANKING),
                with_vector=[DENSE] if dense else False,
            )
            for vector in vectors
        ]
        async with _as_sentences():
            answers = await self._client.query_batch_points(self._collection, requests)
        return [[_hit(point, point.score) for point in response.points] for response in answers]

    async def latest(self, where: Where, limit: int) -> list[Hit]:
        """Return the latest points."""
        order = models.OrderBy(key=TIME, direction=models.Direction.DESC)
        async with _as_sentences():
            answer = await self._client.query_points(
                self._collection,
                query=models.OrderByQuery(order_by=order),
                query_filter=_filter(where),
                limit=limit,
                with_payload=list(RANKING),
            )
        return [_hit(point, 0.0) for point in answer.points]

    async def page(
        self, where: Where, limit: int, after: str | None, fields: Sequence[str] = ()
    ) -> Page:
        """Return points in the order of their ids."""
        async with _as_sentences():
            records, next_id = await self._client.scroll(
                self._collection,
                scroll_filter=_filter(where),
                limit=limit,
                offset=after,
                with_payload=list(fields) or True,
            )
        hits = [Hit(str(record.id), 0.0, record.payload or {}) for record in records]
        return Page(hits, None if next_id is None else str(next_id))

    async def change(self, where: Where, payload: Mapping[str, Any], key: str = "") -> None:
        """Set fields of points."""
        async with _as_sentences():
            await self._client.set_payload(
                self._collection, dict(payload), points=_filter(where), key=key or None, wait=True
            )

    async def delete(self, where: Where) -> None:
        """Delete points."""
        async with _as_sentences():
            await self._client.delete(
                self._collection, models.FilterSelector(filter=_filter(where)), wait=True
            )

    async def count(self, where: Where) -> int:
        """Return how many points there are."""
        async with _as_sentences():
            answer = await self._client.count(self._collection, _filter(where), exact=True)
        return answer.count

    async def optimize(self) -> None:
        """Do nothing: a server optimises by itself."""

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def connect(url: str, key: str | None) -> AsyncQdrantClient:
    """Return a client of a server. It connects at the first call."""
    return AsyncQdrantClient(url=url, api_key=key, timeout=_PATIENCE, check_compatibility=False)


async def _create(client: AsyncQdrantClient, layout: Layout, collection: str) -> None:
    try:
        await client.create_collection(
            collection,
            vectors_config={
                DENSE: models.VectorParams(size=layout.dimension, distance=models.Distance.COSINE)
            },
            sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
            metadata=layout.model_dump(),
        )
    except UnexpectedResponse as error:
        if error.status_code != _CONFLICT:  # another process has just created it
            raise
    for name in KEYWORDS:
        keyword = models.KeywordIndexParams(
            type=models.KeywordIndexType.KEYWORD, is_tenant=name == "tenant"
        )
        await client.create_payload_index(collection, name, keyword, wait=True)
    await client.create_payload_index(collection, TIME, models.PayloadSchemaType.FLOAT)


@asynccontextmanager
async def _as_sentences() -> AsyncIterator[None]:
    """Raise the client's errors as errors of this project."""
    try:
        yield
    except UnexpectedResponse as error:
        if error.status_code in (401, 403):
            raise MissingPart(
                "The Qdrant server at QDRANT_URL refuses the key. Set QDRANT_API_KEY to one that "
                "may read and write."
            ) from error
        reason = redact(error.content.decode(errors="replace"))[:300]
        raise BrokenData(
            f"The Qdrant server answered {error.status_code} {error.reason_phrase}: {reason}"
        ) from error
    except (ApiException, ConnectionError, TimeoutError) as error:
        raise MissingPart(
            f"The Qdrant server at QDRANT_URL cannot be reached ({public_message(error)}). "
            "Start it, or unset QDRANT_URL to store experience in a folder. Nothing was lost: "
            "record the last attempts again."
        ) from error


def _vectors(point: Point) -> dict[str, Any]:
    if point.dense is None or point.sparse is None:
        return {}
    return {DENSE: point.dense, SPARSE: _sparse(point.sparse)}


def _sparse(vector: Sparse) -> models.SparseVector:
    return models.SparseVector(indices=vector.indices, values=vector.values)


def _filter(where: Where) -> models.Filter:
    return models.Filter(must=_conditions(where.has), must_not=_conditions(where.lacks))


def _conditions(fields: Mapping[str, Sequence[str]]) -> list[models.Condition]:
    return [
        models.FieldCondition(key=name, match=models.MatchAny(any=list(values)))
        for name, values in fields.items()
    ]


def _hit(point: models.ScoredPoint | models.Record, score: float) -> Hit:
    vectors: Any = point.vector or {}
    return Hit(str(point.id), score, point.payload or {}, vectors.get(DENSE, ()))
