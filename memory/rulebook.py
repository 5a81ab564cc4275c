"""The rulebook's log in the LangGraph Store: each batch of operations is one immutable item.

Writers never change an item, so concurrent writers lose nothing. A batch's key follows from its
cause, so a retried step writes the same item again. Each batch has its own namespace, which ends
in its key. A list of namespaces therefore shows which batches exist. It costs a tenth of reading
them, and only new batches are read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final
from weakref import WeakKeyDictionary

from langgraph.store.base import BaseStore, GetOp, Item
from pydantic import ValidationError

from apprentice.memory.namespace_labels import label
from apprentice.state.errors import BadInput, BrokenData
from apprentice.state.provenance import VERSION
from apprentice.state.rulebook import (
    LIMIT,
    ApplyResult,
    Author,
    Batch,
    Difference,
    Event,
    Operation,
    Rulebook,
    batch_key,
    diff,
    fold,
    history,
    in_order,
    replay,
    rollback,
)
from apprentice.state.trajectory import SCHEMA_VERSION

_ITEM: Final = "batch"
_ALL: Final = 1_000_000_000
"""A page size that fits any log. The Store's default is ten items."""
_FEW: Final = 64
_MOST_SNAPSHOTS: Final = 256
_TICK: Final = 1e-6

Namespace = tuple[str, ...]


@dataclass(frozen=True)
class _Snapshot:
    """The batches in order, by key, and the rulebook that results from them."""

    batches: dict[str, Batch] = field(default_factory=dict)
    rulebook: Rulebook = field(default_factory=Rulebook)

    def with_batches(self, new: Iterable[Batch]) -> _Snapshot:
        """Return the snapshot with more batches. The latest ones are folded on top."""
        later = in_order(new)
        if not later:
            return self
        on_top = (later[0].time, later[0].key) > (self.newest, "~")
        batches = list(self.batches.values())
        batches = batches + later if on_top else in_order(batches + later)
        rulebook = fold(later, self.rulebook) if on_top else fold(batches)
        return _Snapshot({batch.key: batch for batch in batches}, rulebook)

    @property
    def newest(self) -> float:
        return next(reversed(self.batches.values())).time if self.batches else 0.0


# What this process has read from each open store. Snapshots are replaced, never changed.
_snapshots: WeakKeyDictionary[BaseStore, dict[Namespace, _Snapshot]] = WeakKeyDictionary()


class RulebookLog:
    """One tenant's log of one rulebook.

    Args:
        store: the LangGraph Store. The log opens no connection of its own.
        tenant: whose rules these are.
        rulebook: the rulebook's name.
        clock: returns Unix time in seconds.
    """

    def __init__(
        self,
        store: BaseStore,
        tenant: str = "default",
        rulebook: str = "default",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._namespace: Namespace = ("rulebook", label(tenant), label(rulebook))
        self._clock = clock

    async def record(
        self,
        operations: Iterable[Operation],
        *,
        run: str,
        index: int = 0,
        evidence: Sequence[str] = (),
        author: Author = "model",
        reason: str = "",
        limit: int = LIMIT,
        shown_rulebook: Rulebook | None = None,
    ) -> ApplyResult:
        """Validate operations, log the valid ones, and return the resulting rulebook.

        A second call with the same run, index and evidence changes nothing. It returns the
        operations of the first call.

        Args:
            operations: the operations to apply.
            run: the run that they belong to.
            index: the number of the batch within the run.
            evidence: ids of the trajectories that support the operations.
            author: who decided on them.
            reason: why, for people.
            limit: the number of rules at which the rulebook is full.
            shown_rulebook: the rulebook that the author saw. The operations use its numbers.
                Another run may have changed the log since. Defaults to the current rulebook.
        """
        key = batch_key(run, index, evidence)
        snapshot = await self._snapshot()
        if batch := snapshot.batches.get(key):
            return ApplyResult(rulebook=snapshot.rulebook, operations=batch.operations)
        rulebook = shown_rulebook or snapshot.rulebook
        result = rulebook.apply(operations, author=author, limit=limit, origin=key)
        if not result.operations:
            return result
        batch = Batch(
            key=key,
            operations=result.operations,
            author=author,
            base=rulebook.version,
            run=run,
            index=index,
            evidence=tuple(evidence),
            reason=reason,
        )
        await self.append(batch)
        return result.model_copy(update={"rulebook": await self.load()})

    async def append(self, batch: Batch) -> Batch:
        """Log a batch unless the log has its key, and return the logged batch.

        The batch gets a time later than that of every earlier batch. So a vote never comes before
        its rule, even if clocks disagree.
        """
        snapshot = await self._snapshot()
        if earlier := snapshot.batches.get(batch.key):
            return earlier
        timestamp = max(self._clock(), snapshot.newest + _TICK)
        new_batch = batch.model_copy(update={"time": timestamp})
        value = new_batch.model_dump(mode="json")
        await self._store.aput((*self._namespace, batch.key), _ITEM, value, index=False, ttl=None)
        return new_batch

    async def batch_of(
        self, run: str, index: int = 0, evidence: Sequence[str] = ()
    ) -> Batch | None:
        """Return the batch with this run, index and evidence, if the log has one."""
        return (await self._snapshot()).batches.get(batch_key(run, index, evidence))

    async def load(self) -> Rulebook:
        """Return the current rulebook."""
        return (await self._snapshot()).rulebook

    async def batches(self) -> list[Batch]:
        """Return the whole log, the oldest batch first."""
        return list((await self._snapshot()).batches.values())

    async def at(self, timestamp: float) -> Rulebook:
        """Return the rulebook as it was at a time (Unix time in seconds)."""
        return fold(batch for batch in await self.batches() if batch.time <= timestamp)

    async def version(self, version: str) -> Rulebook:
        """Return the rulebook with this version, or raise BadInput."""
        snapshot = await self._snapshot()
        if rulebook := await asyncio.to_thread(_of_version, version, snapshot):
            return rulebook
        raise BadInput(
            f"This log never had a rulebook with version {version[:80]!r}. It has "
            f"{len(snapshot.batches)} batches, and its version is {snapshot.rulebook.version}."
        )

    async def diff(self, before: str, after: str) -> list[Difference]:
        """Return how two versions differ."""
        return diff(await self.version(before), await self.version(after))

    async def history(self, rule: str) -> list[Event]:
        """Return the events of one rule, by its id. Each event names its batch."""
        return await asyncio.to_thread(history, await self.batches(), rule)

    async def rollback(
        self, version: str, *, run: str, author: Author = "person", reason: str = ""
    ) -> ApplyResult:
        """Restore the rules of an earlier version, as a new batch."""
        target = await self.version(version)
        reason = reason or f"Back to version {version}."
        return await self.restore(target, run=run, author=author, reason=reason)

    async def restore(
        self, target: Rulebook, *, run: str, author: Author = "person", reason: str = ""
    ) -> ApplyResult:
        """Restore another rulebook's rules, as a new batch that supports no single rule."""
        return await self.record(
            rollback(await self.load(), target),
            run=run,
            evidence=(f"{VERSION}{target.version}",),
            author=author,
            reason=reason,
        )

    async def _snapshot(self) -> _Snapshot:
        """Read what is new in the log into this process's snapshot, and return it."""
        snapshots = _snapshots.setdefault(self._store, {})
        snapshot = snapshots.get(self._namespace, _Snapshot())
        keys = await self._keys()
        if snapshot.batches.keys() - keys:  # the log was erased
            snapshot = _Snapshot()
        if new_keys := keys - snapshot.batches.keys():
            items = await self._read(new_keys)
            snapshot = await asyncio.to_thread(_extend, snapshot, items)
        snapshots.pop(self._namespace, None)
        snapshots[self._namespace] = snapshot
        if len(snapshots) > _MOST_SNAPSHOTS:
            snapshots.pop(next(iter(snapshots)))
        return snapshot

    async def _keys(self) -> set[str]:
        namespaces = await self._store.alist_namespaces(prefix=self._namespace, limit=_ALL)
        # Some stores compare prefixes as text: a search for "a" also returns "ab".
        return {names[-1] for names in namespaces if names[:-1] == self._namespace}

    async def _read(self, keys: set[str]) -> list[Item]:
        """Read a few batches one by one, or many in one page."""
        if len(keys) > _FEW:
            page = await self._store.asearch(self._namespace, limit=_ALL)
            return [item for item in page if item.namespace[:-1] == self._namespace]
        reads = [GetOp((*self._namespace, key), _ITEM) for key in keys]
        items = await self._store.abatch(reads)
        return [item for item in items if isinstance(item, Item)]


def _extend(snapshot: _Snapshot, items: Iterable[Item]) -> _Snapshot:
    new = (item for item in items if item.namespace[-1] not in snapshot.batches)
    return snapshot.with_batches([_batch(item.value, item.namespace) for item in new])


def _batch(value: dict[str, Any], namespace: Namespace) -> Batch:
    """Read a stored batch."""
    where = "/".join(namespace)
    version = value.get("schema_version")
    if version != SCHEMA_VERSION:
        raise BrokenData(
            f"The rule batch {where} has schema version {version!r}, but this version of "
            f"Apprentice reads {SCHEMA_VERSION}. Use the version that wrote it."
        )
    try:
        return Batch.model_validate(value)
    except ValidationError as error:
        raise BrokenData(
            f"The rule batch {where} cannot be read: {error}. Restore it from a backup, or delete "
            "it to go on without it."
        ) from error


def _of_version(version: str, snapshot: _Snapshot) -> Rulebook | None:
    """Find the rulebook with a version among all that the log produced, the empty one included."""
    batches = list(snapshot.batches.values())
    bases = [place for place, batch in enumerate(batches) if batch.base == version]
    # A batch's base is mostly the rulebook just before it. Try these first: it saves a replay.
    likely = (fold(batches[:place]) for place in bases[:3])
    every = (rulebook for _, rulebook in replay(batches))
    for rulebook in chain((snapshot.rulebook, Rulebook()), likely, every):
        if rulebook.version == version:
            return rulebook
    return None
