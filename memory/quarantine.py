"""Operations that the screening stopped, in the LangGraph Store until a person decides."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from langgraph.store.base import BaseStore
from pydantic import ValidationError

from apprentice.memory.namespace_labels import label
from apprentice.state.errors import BrokenData
from apprentice.state.review import QuarantinedOperation
from apprentice.state.rules import Rejection
from apprentice.state.trajectory import digest

PAGE: Final = 100_000


@dataclass(frozen=True)
class Quarantine:
    """The operations that wait for a person in one tenant's rulebook of one environment."""

    store: BaseStore
    tenant: str
    rulebook: str

    async def add(
        self, rejections: Iterable[Rejection], *, run: str, evidence: Sequence[str]
    ) -> list[QuarantinedOperation]:
        """Store the flagged operations of one batch; a repeated call changes nothing."""
        operations = []
        for each in rejections:
            if not each.flagged or each.operation is None:
                continue
            operation = each.operation
            key = digest("quarantine", run, evidence, operation.kind, operation.text)
            quarantined_operation = QuarantinedOperation(
                key=key,
                operation=operation,
                reason=each.reason,
                evidence=tuple(evidence),
                run=run,
            )
            if await self.store.aget(self._namespace, key) is None:
                await self._put(quarantined_operation)
            operations.append(quarantined_operation)
        return operations

    async def to_review(self) -> list[QuarantinedOperation]:
        """Return the operations that no person has decided on yet."""
        return [each for each in await self.all() if each.status == "waiting"]

    async def forget(self, trajectories: Collection[str]) -> int:
        """Erase the operations that cite any of these trajectories; return how many there were."""
        count = 0
        for each in await self.all():
            if not set(each.evidence).isdisjoint(trajectories):
                await self.store.adelete(self._namespace, each.key)
                count += 1
        return count

    async def settle(
        self, each: QuarantinedOperation, status: Literal["approved", "rejected"]
    ) -> None:
        """Store a person's decision."""
        await self._put(each.model_copy(update={"status": status}))

    async def all(self) -> list[QuarantinedOperation]:
        """Return every stopped operation, decided or not."""
        items = await self.store.asearch(self._namespace, limit=PAGE)
        own = [item for item in items if item.namespace == self._namespace]
        return [_read(item.value) for item in sorted(own, key=lambda item: item.key)]

    async def _put(self, each: QuarantinedOperation) -> None:
        value = each.model_dump(mode="json")
        await self.store.aput(self._namespace, each.key, value, index=False)

    @property
    def _namespace(self) -> tuple[str, ...]:
        return ("quarantine", label(self.tenant), label(self.rulebook))


def _read(value: object) -> QuarantinedOperation:
    try:
        return QuarantinedOperation.model_validate(value)
    except ValidationError as error:
        raise BrokenData(f"A quarantined operation cannot be read: {error}") from error
