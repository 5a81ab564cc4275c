"""A run's intermediate results in the LangGraph Store, so that a restart repeats no work.

A finding is one immutable item under tenant, environment, run and kind. Checkpoints hold only the
names of findings, so they stay small.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from langgraph.store.base import BaseStore
from pydantic import ValidationError

from apprentice.memory.namespace_labels import label
from apprentice.state.errors import BrokenData
from apprentice.state.trajectory import FrozenModel, Trajectory

PAGE: Final = 1_000_000
_N = TypeVar("_N", bound=FrozenModel)


@dataclass(frozen=True)
class Findings(Generic[_N]):
    """One run's findings of one kind.

    Attributes:
        noun: the class of a finding. Its `stored_as`, else its name, is the kind.
    """

    store: BaseStore
    tenant: str
    environment: str
    run: str
    noun: type[_N]

    async def add(self, key: str, finding: _N) -> None:
        """Store a finding. If the key has one already, that one stays."""
        if await self.store.aget(self._namespace, label(key)) is None:
            value = finding.model_dump(mode="json")
            await self.store.aput(self._namespace, label(key), value, index=False)

    async def get(self, key: str) -> _N | None:
        """Return the finding of a key, if there is one."""
        item = await self.store.aget(self._namespace, label(key))
        return self._read(item.value) if item else None

    async def all(self) -> list[_N]:
        """Return every finding, sorted by key."""
        items = await self.store.asearch(self._namespace, limit=PAGE)
        own = [item for item in items if item.namespace == self._namespace]
        return [self._read(item.value) for item in sorted(own, key=lambda item: item.key)]

    @property
    def _namespace(self) -> tuple[str, ...]:
        kind = self.noun.stored_as or self.noun.__name__.lower()
        where = (self.tenant, self.environment, self.run, kind)
        return ("findings", *map(label, where))

    def _read(self, value: object) -> _N:
        try:
            return self.noun.model_validate(value)
        except ValidationError as error:
            raise BrokenData(
                f"A finding of the run {self.run!r} cannot be read: {error}. Start the run under "
                "another name."
            ) from error


async def attempts(
    store: BaseStore, tenant: str, environment: str, trajectories: Collection[str]
) -> dict[str, Trajectory]:
    """Return the attempts, by id, that any run of an environment has stored."""
    ids = set(trajectories)
    prefix = ("findings", label(tenant), label(environment))
    return {
        attempt["id"]: Trajectory.model_validate(attempt)
        for item in await store.asearch(prefix, limit=PAGE)
        if item.namespace[:3] == prefix
        for attempt in item.value.get("attempts", [])
        if attempt["id"] in ids
    }


async def erase(
    store: BaseStore, tenant: str, environment: str, trajectories: Collection[str]
) -> set[str]:
    """Erase attempts, and the findings that cite them as evidence, from every run.

    Returns:
        The ids of the attempts that were stored.
    """
    prefix = ("findings", label(tenant), label(environment))
    ids = set(trajectories)
    erased_ids: set[str] = set()
    for item in await store.asearch(prefix, limit=PAGE):
        if item.namespace[:3] != prefix:
            continue
        attempts = item.value.get("attempts", [])
        rest = [attempt for attempt in attempts if attempt["id"] not in ids]
        if not ids.isdisjoint(item.value.get("evidence", ())):
            await store.adelete(item.namespace, item.key)
        elif len(rest) < len(attempts):
            erased_ids |= {attempt["id"] for attempt in attempts} & ids
            value = {**item.value, "attempts": rest}
            await store.aput(item.namespace, item.key, value, index=False)
    return erased_ids
