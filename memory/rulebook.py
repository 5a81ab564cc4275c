"""The rulebook's log in the LangGraph Store: one immutable item a batch of operations.

Writers never change what is there, so those that write at once lose nothing, and a batch's key is
derived from what caused it, so a step that is retried writes what it wrote before. Each batch has
a namespace of its own, ending in its key: listing namespaces then tells exactly which batches
exist, at a tenth of the cost of reading them, and only those not yet known are read.
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

from apprentice.memory.labels import label
from apprentice.state.errors import BadInput, BrokenData
from apprentice.state.nouns import SCHEMA_VERSION
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

_ITEM: Final = "batch"
_ALL: Final = 1_000_000_000
"""A page that holds any log: the Store's own default is ten."""
_FEW: Final = 64
_MOST_SNAPSHOTS: Final = 256
_TICK: Final = 1e-6

Namespace = tuple[str, ...]


@dataclass(frozen=True)
class _Snapshot:
    """Batches in order, by key, and the book they make."""

    batches: dict[str, Batch] = field(default_factory=dict)
    rulebook: Rulebook = field(default_factory=Rulebook)

    def with_batches(self, new: Iterable[Batch]) -> _Snapshot:
        """Return the snapshot with more batches; those that come last are folded on top."""
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


# What this process has read from each open store. A snapshot is replaced, never changed.
_snapshots: WeakKeyDictionary[BaseStore, dict[Namespace, _Snapshot]] = WeakKeyDictionary()


class RulebookLog:
    """One tenant's log of one rulebook.

    Args:
        store: the LangGraph Store; the log keeps no connection of its own.
        tenant: whose rules these are.
        book: the rulebook's name.
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
        """Judge operations against a book, log what stands, and return the book as it then is.

        A second call with the same run, index and evidence changes nothing and returns what the
        first one did.

        Args:
            operations: what to do.
            run: the run that it is done in.
            index: which batch of the run it is.
            evidence: ids of the trajectories that it rests on.
            author: who decided it.
            reason: why, for people.
            limit: the number of rules at which the list is full.
            seen: the book that the author was shown, whose numbers the operations use; the book
                as it is when none is given. Another run may have changed it since.
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
        """Log a batch unless its key is there, and return what the log holds.

        The batch gets its time here, later than every batch that is known, so that clocks which
        disagree can't put a vote before the rule it is for.
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
        """Return the batch that was logged for a run, an index and evidence, if one was."""
        return (await self._snapshot()).batches.get(batch_key(run, index, evidence))

    async def load(self) -> Rulebook:
        """Return the book as it is now."""
        return (await self._snapshot()).rulebook

    async def batches(self) -> list[Batch]:
        """Return the whole log, the oldest batch first."""
        return list((await self._snapshot()).batches.values())

    async def at(self, timestamp: float) -> Rulebook:
        """Return the book as it was at a moment, in Unix time."""
        return fold(batch for batch in await self.batches() if batch.time <= timestamp)

    async def version(self, version: str) -> Rulebook:
        """Return the book of a version, or raise BadInput."""
        snapshot = await self._snapshot()
        if rulebook := await asyncio.to_thread(_of_version, version, snapshot):
            return rulebook
        raise BadInput(
            f"No rulebook of this log had version {version[:80]!r}. The log has "
            f"{len(snapshot.batches)} batches and stands at version {snapshot.rulebook.version}."
        )

    async def diff(self, before: str, after: str) -> list[Difference]:
        """Return how two versions differ."""
        return diff(await self.version(before), await self.version(after))

    async def history(self, rule: str) -> list[Event]:
        """Return what was done to one rule, by its id; each event names its batch."""
        return await asyncio.to_thread(history, await self.batches(), rule)

    async def rollback(
        self, version: str, *, run: str, author: Author = "person", reason: str = ""
    ) -> ApplyResult:
        """Give the book the rules of an earlier version again, as a new batch."""
        target = await self.version(version)
        reason = reason or f"Back to version {version}."
        return await self.restore(target, run=run, author=author, reason=reason)

    async def restore(
        self, target: Rulebook, *, run: str, author: Author = "person", reason: str = ""
    ) -> ApplyResult:
        """Give the book another one's rules, as a new batch: nobody's word on any one of them."""
        return await self.record(
            rollback(await self.load(), target),
            run=run,
            evidence=(f"{VERSION}{target.version}",),
            author=author,
            reason=reason,
        )

    async def _snapshot(self) -> _Snapshot:
        """Bring this process's snapshot up to the log."""
        snapshots = _snapshots.setdefault(self._store, {})
        snapshot = snapshots.get(self._namespace, _Snapshot())
        keys = await self._keys()
        if snapshot.batches.keys() - keys:  # the log was erased: what is gone is forgotten
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
        # Some stores compare prefixes as text, so that "a" also finds "ab".
        return {names[-1] for names in namespaces if names[:-1] == self._namespace}

    async def _read(self, keys: set[str]) -> list[Item]:
        """Read batches: a few one by one, many in one page."""
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
    """Find the book of a version among all that the log led to, the newest and none included."""
    batches = list(snapshot.batches.values())
    bases = [place for place, batch in enumerate(batches) if batch.base == version]
    # Mostly, a batch's base is the book just before it; that saves looking at every book.
    likely = (fold(batches[:place]) for place in bases[:3])
    every = (rulebook for _, rulebook in replay(batches))
    for rulebook in chain((snapshot.rulebook, Rulebook()), likely, every):
        if rulebook.version == version:
            return rulebook
    return None
