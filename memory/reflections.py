"""What earlier runs learned about one task: its reflections, and whether it is solved.

Each reflection is one item of the LangGraph Store under tenant, environment and task. Its key is a
hash of run and trial, so a repeated write changes nothing and concurrent writers lose nothing.
Stores return items in different orders, so this module reads one large page and sorts it.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from langgraph.store.base import BaseStore, SearchItem
from pydantic import ValidationError

from apprentice.memory.namespace_labels import label, name_of
from apprentice.state.errors import BrokenData
from apprentice.state.trajectory import SCHEMA_VERSION, Reflection, Task, digest, trajectory_id

PAGE: Final = 10_000
_ALL: Final = 1_000_000_000
_REFLECTIONS: Final = "reflections"
_SOLVED: Final = "solved"


@dataclass(frozen=True)
class Reflections:
    """One tenant's reflections on one task. Without a store, nothing is written."""

    store: BaseStore | None
    tenant: str
    task: Task

    async def all(self) -> list[Reflection]:
        """Return every stored reflection, the oldest first."""
        if self.store is None:
            return []
        items = await self.store.asearch(self._namespace(_REFLECTIONS), limit=PAGE)
        stored = [(_ordinal(item.value), _read(item.value)) for item in items]
        return [reflection for _, reflection in sorted(stored, key=lambda pair: pair[0])]

    async def add(self, run: str, reflection: Reflection) -> None:
        """Store a reflection. A second one of the same run and trial changes nothing."""
        if self.store is None:
            return
        key = digest(run, reflection.trial)
        if await self.store.aget(self._namespace(_REFLECTIONS), key):
            return
        value = {
            "schema_version": SCHEMA_VERSION,
            "text": reflection.text,
            "trial": reflection.trial,
            "run": run,
            "at": time.time(),
        }
        await self.store.aput(self._namespace(_REFLECTIONS), key, value, index=False)

    async def solved_by(self) -> str:
        """Return the id of the trajectory that solved the task, or ''."""
        if self.store is None:
            return ""
        item = await self.store.aget(self._namespace(_SOLVED), _SOLVED)
        return str(item.value["trajectory"]) if item else ""

    async def mark_solved(self, trajectory: str) -> None:
        """Store which trajectory solved the task."""
        if self.store is None:
            return
        value = {"schema_version": SCHEMA_VERSION, "trajectory": trajectory}
        await self.store.aput(self._namespace(_SOLVED), _SOLVED, value, index=False)

    async def apply_verdict(self, trajectory: str, success: bool | None) -> None:
        """Apply a later verdict: a success solves the task, anything else takes that back."""
        solved_by = await self.solved_by()
        if success and not solved_by:
            await self.mark_solved(trajectory)
        elif not success and self.store is not None and solved_by == trajectory:
            await self.store.adelete(self._namespace("solved"), _SOLVED)

    async def forget(self, run: str, trials: int) -> None:
        """Erase what a run has written here, so that it can start again; other runs' items stay.

        Args:
            run: the run's name.
            trials: how many trials the run has at most.
        """
        if self.store is None:
            return
        for item in await self.store.asearch(self._namespace(_REFLECTIONS), limit=PAGE):
            if item.value.get("run") == run:
                await self.store.adelete(item.namespace, item.key)
        own = {trajectory_id(self.tenant, self.task, run, trial + 1) for trial in range(trials)}
        if await self.solved_by() in own:
            await self.store.adelete(self._namespace(_SOLVED), _SOLVED)

    def _namespace(self, kind: str) -> tuple[str, ...]:
        task = self.task
        return (kind, label(self.tenant), label(task.environment), label(task.id))


async def forget(
    store: BaseStore, tenant: str, environment: str, trajectories: Collection[str]
) -> int:
    """Erase the reflections on attempts, by their ids; return how many there were.

    A task that one of the attempts solved becomes unsolved again.
    """
    count = 0
    for trajectory, item in await _traces(store, tenant, environment):
        if trajectory in trajectories:
            await store.adelete(item.namespace, item.key)
            count += item.namespace[0] == _REFLECTIONS
    return count


async def traced_attempts(store: BaseStore, tenant: str, environment: str) -> set[str]:
    """Return the ids of the attempts that led to a reflection or a solved task."""
    return {trajectory for trajectory, _ in await _traces(store, tenant, environment)}


async def _traces(store: BaseStore, tenant: str, environment: str) -> list[tuple[str, SearchItem]]:
    """Return an environment's items, each with the id of the attempt that it comes from."""
    traces: list[tuple[str, SearchItem]] = []
    for kind in (_REFLECTIONS, _SOLVED):
        prefix = (kind, label(tenant), label(environment))
        for item in await store.asearch(prefix, limit=_ALL):
            # Some stores compare prefixes as text: a search for "a" also returns "ab".
            if item.namespace[:-1] == prefix:
                task = Task(id=name_of(item.namespace[-1]), environment=environment)
                traces.append((_cause(item.value, tenant, task), item))
    return traces


def _cause(value: dict[str, Any], tenant: str, task: Task) -> str:
    """Return the attempt that solved the task, or the failed one behind a reflection."""
    if "trajectory" in value:
        return str(value["trajectory"])
    return trajectory_id(tenant, task, str(value.get("run", "")), int(value.get("trial", 1)))


def _ordinal(value: dict[str, Any]) -> tuple[float, str, int]:
    return float(value.get("at", 0)), str(value.get("run", "")), int(value.get("trial", 1))


def _read(value: dict[str, Any]) -> Reflection:
    if value.get("schema_version") != SCHEMA_VERSION:
        raise BrokenData(
            f"A stored reflection has schema version {value.get('schema_version')!r}, but this "
            f"version of Apprentice reads {SCHEMA_VERSION}. Use the version that wrote it."
        )
    try:
        return Reflection(text=value.get("text", ""), trial=value.get("trial", 1))
    except ValidationError as error:
        raise BrokenData(f"A stored reflection cannot be read: {error}") from error
