"""The real memory in this process, with embeddings that are the words of a text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from apprentice.memory.experience import Experience, opening
from apprentice.state.experience import Query, Recollection
from apprentice.state.nouns import Trajectory
from tests.memory.experience.attempts import Words


class Asked:
    """A tenant's memory that keeps what it was asked."""

    def __init__(self, kept: Experience, asked: list[Query]) -> None:
        self._kept = kept
        self._asked = asked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kept, name)

    async def recall(self, query: Query, count: Callable[[str], int] = len) -> list[Recollection]:
        self._asked.append(query)
        return await self._kept.recall(query, count)


class Memories:
    """Opens tenants' memories, as a graph's `memory` does; `tenant` is one of its own."""

    def __init__(self) -> None:
        self.tenant = str(uuid4())
        self.asked: list[Query] = []

    async def __call__(self, tenant: str) -> Any:
        return Asked(await opening.opened(tenant, "words", Words()), self.asked)

    async def keep(self, attempts: Sequence[Trajectory]) -> None:
        """Record attempts as the tenant's own."""
        own = [each.model_copy(update={"tenant": self.tenant}) for each in attempts]
        await (await self(self.tenant)).record(own)

    async def all(self, tenant: str = "") -> list[Trajectory]:
        """Return what is kept, in the order in which it was made."""
        kept = await self(tenant or self.tenant)
        found: list[Trajectory] = [each.trajectory async for each in kept.browse()]
        return sorted(found, key=lambda each: each.ended_at or 0)


@contextmanager
def folder(path: Path) -> Iterator[None]:
    """Keep the memory of this process in a folder for a while."""
    with pytest.MonkeyPatch.context() as settings:
        settings.delenv("QDRANT_URL", raising=False)
        settings.setenv("APPRENTICE_DATA", str(path))
        yield
        asyncio.run(opening.close())
