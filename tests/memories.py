"""The real memory in this process, with embeddings that are the words of a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from uuid import uuid4

from apprentice.memory.experience import Experience
from apprentice.settings import Settings
from apprentice.state.experience import Query, Recollection
from apprentice.state.trajectory import Trajectory
from apprentice.workspace import Workspace
from tests.memory.experience.attempts import Words


@cache
def shared() -> Workspace:
    """Return a workspace that all tests of a process share; each has tenants of its own.

    Making the indexes of an empty memory takes longest, so it is done once.
    """
    folder = Path(mkdtemp(prefix="apprentice-tests-"))
    return Workspace(folder, settings=Settings(qdrant_url=""), embeddings=Words())


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
    """Opens tenants' memories, as a graph's `recall_from` does; `tenant` is one of its own."""

    def __init__(self, workspace: Workspace | None = None) -> None:
        self.workspace = workspace or shared()
        self.tenant = str(uuid4())
        self.asked: list[Query] = []

    async def __call__(self, tenant: str) -> Any:
        return Asked(await self.workspace.experience(tenant), self.asked)

    async def keep(self, attempts: Sequence[Trajectory]) -> None:
        """Record attempts as the tenant's own."""
        own = [each.model_copy(update={"tenant": self.tenant}) for each in attempts]
        await (await self(self.tenant)).record(own)

    async def all(self, tenant: str = "") -> list[Trajectory]:
        """Return what is kept, in the order in which it was made."""
        kept = await self(tenant or self.tenant)
        found: list[Trajectory] = [each.trajectory async for each in kept.browse()]
        return sorted(found, key=lambda each: each.ended_at or 0)
