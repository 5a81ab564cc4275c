"""What earlier runs learned about one task: its reflections, and whether it is solved.

Every reflection is one item of the LangGraph Store under tenant, environment and task. Its key
is a hash of run and trial, so writing it twice is writing it once, and runs that write at once
lose nothing. Stores disagree on order, so reading sorts here, in one large page.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

from langgraph.store.base import BaseStore
from pydantic import ValidationError

from memory.labels import label
from state.errors import BrokenData
from state.nouns import SCHEMA_VERSION, Reflection, Task, digest, trajectory_id

PAGE: Final = 10_000
_SOLVED: Final = "solved"


@dataclass(frozen=True)
class Reflections:
    """The memory of one tenant's attempts at one task; without a store it remembers nothing."""

    store: BaseStore | None
    tenant: str
    task: Task

    async def all(self) -> list[Reflection]:
        """Return every reflection kept, the oldest first."""
        if self.store is None:
            return []
        items = await self.store.asearch(self._namespace("reflections"), limit=PAGE)
        found = [(_ordinal(item.value), _read(item.value)) for item in items]
        return [reflection for _, reflection in sorted(found, key=lambda pair: pair[0])]

    async def add(self, run: str, reflection: Reflection) -> None:
        """Keep a reflection; the same run and trial again changes nothing."""
        if self.store is None:
            return
        key = digest(run, reflection.trial)
        if await self.store.aget(self._namespace("reflections"), key):
            return
        value = {
            "schema_version": SCHEMA_VERSION,
            "text": reflection.text,
            "trial": reflection.trial,
            "run": run,
            "at": time.time(),
        }
        await self.store.aput(self._namespace("reflections"), key, value, index=False)

    async def solved_by(self) -> str:
        """Return the id of the trajectory that solved the task; '' when none did."""
        if self.store is None:
            return ""
        item = await self.store.aget(self._namespace("solved"), _SOLVED)
        return str(item.value["trajectory"]) if item else ""

    async def mark_solved(self, trajectory: str) -> None:
        """Remember which trajectory solved the task."""
        if self.store is None:
            return
        value = {"schema_version": SCHEMA_VERSION, "trajectory": trajectory}
        await self.store.aput(self._namespace("solved"), _SOLVED, value, index=False)

    async def judged(self, trajectory: str, success: bool | None) -> None:
        """Let a later verdict count: a success solves the task, and what was none does no more."""
        solved_by = await self.solved_by()
        if success and not solved_by:
            await self.mark_solved(trajectory)
        elif not success and self.store is not None and solved_by == trajectory:
            await self.store.adelete(self._namespace("solved"), _SOLVED)

    async def forget(self, run: str, trials: int) -> None:
        """Take back what a run of so many trials at most has left here, so that it can start anew.

        What other runs have left stays.
        """
        if self.store is None:
            return
        for item in await self.store.asearch(self._namespace("reflections"), limit=PAGE):
            if item.value.get("run") == run:
                await self.store.adelete(item.namespace, item.key)
        own = {trajectory_id(self.tenant, self.task, run, trial + 1) for trial in range(trials)}
        if await self.solved_by() in own:
            await self.store.adelete(self._namespace("solved"), _SOLVED)

    def _namespace(self, kind: str) -> tuple[str, ...]:
        task = self.task
        return (kind, label(self.tenant), label(task.environment), label(task.id))


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
