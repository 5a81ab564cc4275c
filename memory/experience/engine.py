"""The interface of a search engine: Qdrant in this process, or a Qdrant server.

A point has a dense vector, a sparse vector and a payload. An engine ranks by one vector only.
Fusion and diversity are computed above it, so that both engines rank in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

DENSE: Final = "meaning"
SPARSE: Final = "text"

KEYWORDS: Final = (
    "tenant", "point", "trajectory", "shelf", "task", "type", "duplicate", "environment", "outcome",
)  # fmt: skip
"""Payload fields for filters; all of them are indexed."""
RANKING: Final = ("point", "trajectory", "task", "outcome", "score", "turns")
"""Payload fields for the choice among candidates."""
TIME: Final = "at"
"""The payload field for the order by time (Unix time in seconds)."""


class Sparse(NamedTuple):
    """A sparse vector: the indices and values that are not zero."""

    indices: list[int]
    values: list[float]


class Point(NamedTuple):
    """An item with an id (a UUID as text). Items that are never searched for have no vectors."""

    id: str
    payload: dict[str, Any]
    dense: list[float] | None = None
    sparse: Sparse | None = None


class Hit(NamedTuple):
    """A search result. It has the dense vector only if the caller requested it."""

    id: str
    score: float
    payload: dict[str, Any]
    dense: Sequence[float] = ()


@dataclass(frozen=True)
class Where:
    """A filter: each field in `has` has one of its values, each field in `lacks` has none."""

    has: Mapping[str, Sequence[str]]
    lacks: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Page(NamedTuple):
    """Points in the order of their ids, and the id with which the next page begins."""

    hits: list[Hit]
    after: str | None


class SearchEngine(Protocol):
    """A collection of points. When a call returns, its changes are durable."""

    @property
    def dimension(self) -> int:
        """The size of a dense vector."""

    async def insert(self, points: Sequence[Point]) -> None:
        """Add the points whose id is new, either all of them or none."""

    async def stored_ids(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that are stored."""

    async def fetch(self, ids: Sequence[str]) -> list[Hit]:
        """Return the stored points with these ids, with payloads and dense vectors."""

    async def nearest(
        self,
        vectors: Sequence[Sequence[float] | Sparse],
        where: Where,
        limit: int,
        *,
        dense: bool = False,
    ) -> list[list[Hit]]:
        """Return the nearest points of each vector, with their ranking fields.

        Args:
            vectors: the query vectors. Each gets its own result.
            where: the filter.
            limit: the largest number of points per vector.
            dense: whether to return dense vectors too, which takes longer.
        """

    async def latest(self, where: Where, limit: int) -> list[Hit]:
        """Return the latest points, with their ranking fields."""

    async def page(
        self, where: Where, limit: int, after: str | None, fields: Sequence[str] = ()
    ) -> Page:
        """Return points in the order of their ids, with the named fields or all."""

    async def change(self, where: Where, payload: Mapping[str, Any], key: str = "") -> None:
        """Set fields of points. With a key, set fields of the object under this key."""

    async def delete(self, where: Where) -> None:
        """Delete points."""

    async def count(self, where: Where) -> int:
        """Return how many points there are."""

    async def optimize(self) -> None:
        """Rebuild the indexes. It may take minutes, and nothing else runs meanwhile."""

    async def close(self) -> None:
        """Close the files or connections."""
