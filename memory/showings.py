"""The success of released rules: every attempt with rules in view, in the LangGraph Store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from langgraph.store.base import BaseStore
from pydantic import ValidationError

from apprentice.memory.namespace_labels import label
from apprentice.state.errors import BrokenData
from apprentice.state.rule_record import Showing
from apprentice.state.trajectory import Trajectory

PAGE: Final = 1_000_000


@dataclass(frozen=True)
class Showings:
    """One tenant's showings in one environment. Without a store, nothing is written."""

    store: BaseStore | None
    tenant: str
    environment: str

    async def add(self, attempt: Trajectory) -> None:
        """Store an attempt if rules were in view and its outcome is known.

        A second call for the same attempt replaces the first, so a later verdict counts.
        """
        success = attempt.verdict.success
        if self.store is None or not attempt.in_view.rules or success is None:
            return
        showing = Showing(
            trajectory=attempt.id,
            trial=attempt.trial,
            rules=attempt.in_view.rules,
            success=success,
            time=attempt.ended_at or 0.0,
        )
        value = showing.model_dump(mode="json")
        await self.store.aput(self._namespace, attempt.id, value, index=False)

    async def forget(self, trajectories: Iterable[str]) -> None:
        """Erase the showings of attempts, by their ids."""
        if self.store is None:
            return
        for name in trajectories:
            await self.store.adelete(self._namespace, name)

    async def all(self) -> list[Showing]:
        """Return every showing."""
        if self.store is None:
            return []
        items = await self.store.asearch(self._namespace, limit=PAGE)
        own = [item.value for item in items if item.namespace == self._namespace]
        try:
            return [Showing.model_validate(value) for value in own]
        except ValidationError as error:
            raise BrokenData(f"A stored showing cannot be read: {error}") from error

    @property
    def _namespace(self) -> tuple[str, ...]:
        return ("showings", label(self.tenant), label(self.environment))
