"""The little that the memory needs of Qdrant, in process or as a server.

Points carry a dense vector, a sparse one, and a payload. Ranking beyond one vector (fusion,
diversity) is done on top, so that both engines rank alike.
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
"""Fields that points are found by, all of them indexed."""
RANKING: Final = ("point", "trajectory", "task", "outcome", "score", "turns")
"""Fields that candidates are chosen by."""
TIME: Final = "at"
"""The one field that points are ordered by: Unix time in seconds."""


class Sparse(NamedTuple):
    """A sparse vector: where it is not zero, and what it is there."""

    indices: list[int]
    values: list[float]


class Point(NamedTuple):
    """What is stored under an id (a UUID's text form); what is not searched for has no vectors."""

    id: str
    payload: dict[str, Any]
    dense: list[float] | None = None
    sparse: Sparse | None = None


class Hit(NamedTuple):
    """A point that was found; its dense vector only where that was asked for."""

    id: str
    score: float
    payload: dict[str, Any]
    dense: Sequence[float] = ()


@dataclass(frozen=True)
class Where:
    """Which points are meant: each field has one of some values, and none of others."""

    has: Mapping[str, Sequence[str]]
    lacks: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Page(NamedTuple):
    """Some points in the order of their ids, and where the next page begins."""

    hits: list[Hit]
    after: str | None


class SearchEngine(Protocol):
    """A collection of points.

    What a call has done is durable when it returns: it outlives the process.
    """

    @property
    def dimension(self) -> int:
        """Return how many numbers a dense vector has."""

    async def insert(self, points: Sequence[Point]) -> None:
        """Add the points whose id is new, all or none of them; leave those that are known."""

    async def stored_ids(self, ids: Sequence[str]) -> set[str]:
        """Return which of these ids there are."""

    async def fetch(self, ids: Sequence[str]) -> list[Hit]:
        """Return the points of these ids that there are, with all that they have."""

    async def nearest(
        self,
        vectors: Sequence[Sequence[float] | Sparse],
        where: Where,
        limit: int,
        *,
        dense: bool = False,
    ) -> list[list[Hit]]:
        """Return for each vector the nearest points, with the fields that rank them.

        Args:
            vectors: to which points are near, each by itself.
            where: which points may be found.
            limit: how many for each vector, at most.
            dense: whether their dense vectors come along, which takes a while.
        """

    async def latest(self, where: Where, limit: int) -> list[Hit]:
        """Return the points with the highest moment, with the fields that rank them."""

    async def page(
        self, where: Where, limit: int, after: str | None, fields: Sequence[str] = ()
    ) -> Page:
        """Return points in the order of their ids, with these fields or all."""

    async def change(self, where: Where, payload: Mapping[str, Any], key: str = "") -> None:
        """Set fields of points; with a key, fields of the object that they have under it."""

    async def delete(self, where: Where) -> None:
        """Delete points."""

    async def count(self, where: Where) -> int:
        """Return how many points there are."""

    async def optimize(self) -> None:
        """Build the indexes anew. It may take minutes, and nothing else runs meanwhile."""

    async def close(self) -> None:
        """Let go of the files or connections."""
