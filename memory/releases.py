"""Releases in the LangGraph Store: what an agent runs with now, and what it ran with before.

Each release and each promotion is an immutable item. Two runs that publish at the same time lose
nothing: the later promotion is in force, and the earlier one is history.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from langgraph.store.base import BaseStore
from pydantic import ValidationError

from apprentice.memory.namespace_labels import label
from apprentice.state.errors import BadInput, BrokenData, UnknownName
from apprentice.state.gate import Account, Decision
from apprentice.state.releases import CURRENT, NONE, Promotion, Release
from apprentice.state.rules import Author, Rule
from apprentice.state.trajectory import SCHEMA_VERSION, FrozenModel, digest

PAGE: Final = 100_000
_TICK: Final = 1e-6
_N = TypeVar("_N", bound=FrozenModel)


@dataclass(frozen=True)
class Releases:
    """One tenant's releases in one environment. Without a store there are none."""

    store: BaseStore | None
    tenant: str
    environment: str
    clock: Callable[[], float] = time.time

    async def resolve(self, name: str) -> Release | None:
        """Return the release that a run's settings name.

        Args:
            name: the id of a release, `current` for the one in force, or `none`.

        Raises:
            UnknownName: if there is no such release.
            BadInput: if it was withdrawn.
        """
        if name == NONE:
            return None
        release = await self.current() if name == CURRENT else await self.get(name)
        if release and release.withdrawn:
            raise BadInput(
                f"Release {release.id} shows rules that were withdrawn ({release.withdrawn}). "
                "Name another one."
            )
        return release

    async def current(self) -> Release | None:
        """Return the release in force."""
        promotions = await self.promotions()
        if not promotions or not promotions[-1].release:
            return None
        return await self.get(promotions[-1].release)

    async def get(self, name: str) -> Release:
        """Return the release with this id, or the only one whose id begins with it.

        Raises:
            UnknownName: if no release matches, or several do.
        """
        if self.store is not None and name:
            if item := await self.store.aget(self._namespace("releases"), name):
                return _read(Release, item.value)
            near = [release for release in await self.all() if release.id.startswith(name)]
            if len(near) == 1:
                return near[0]
        ids = [release.id for release in await self.all()]
        raise UnknownName(f"release of {self.environment}", name, [NONE, CURRENT, *ids])

    async def all(self) -> list[Release]:
        """Return every release, the oldest first."""
        stored = [_read(Release, value) for value in await self._values("releases")]
        return sorted(stored, key=lambda release: (release.made_at, release.id))

    async def promotions(self) -> list[Promotion]:
        """Return every promotion, the oldest first."""
        stored = [_read(Promotion, value) for value in await self._values("promotions")]
        return sorted(stored, key=lambda promotion: (promotion.time, promotion.run))

    async def in_force_since(self) -> dict[tuple[str, str], float]:
        """Return since when each rule has been in force without a break, by its id and text."""
        releases = {release.id: release for release in await self.all()}
        since: dict[tuple[str, str], float] = {}
        for promotion in await self.promotions():
            release = releases.get(promotion.release)
            shown = [(rule.id, rule.text) for rule in release.rules] if release else []
            since = {rule: since.get(rule, promotion.time) for rule in shown}
        return since

    async def publish(
        self, release: Release, *, author: Author = "model", reason: str = ""
    ) -> None:
        """Store a release and promote it. The same release again changes nothing."""
        namespace = self._namespace("releases")
        if not await self._required_store.aget(namespace, release.id):
            new = release.model_copy(update={"made_at": self.clock()})
            await self._required_store.aput(
                namespace, release.id, new.model_dump(mode="json"), index=False
            )
        await self.promote(release.id, run=release.run, author=author, reason=reason)

    async def promote(
        self, release: str, *, run: str, author: Author = "person", reason: str = ""
    ) -> None:
        """Put a release in force, or '' for none. The same run and release again change nothing."""
        namespace, key = self._namespace("promotions"), digest("promotion", run, release)
        if await self._required_store.aget(namespace, key):
            return
        promotions = await self.promotions()
        promotion = Promotion(
            release=release,
            run=run,
            author=author,
            reason=reason,
            # Later than all others, so that the order holds even if clocks disagree.
            time=max([self.clock(), *(each.time + _TICK for each in promotions)]),
        )
        await self._required_store.aput(
            namespace, key, promotion.model_dump(mode="json"), index=False
        )

    async def withdraw(self, bars: Callable[[Rule], bool], reason: str) -> None:
        """Mark every release that shows a barred rule, so that it never runs again."""
        for release in await self.all():
            if not release.withdrawn and any(map(bars, release.rules)):
                value = release.model_copy(update={"withdrawn": reason}).model_dump(mode="json")
                await self._required_store.aput(
                    self._namespace("releases"), release.id, value, index=False
                )

    async def gate_level(self, run: str) -> float:
        """Return the level of a run's gate, which depends on earlier gates; idempotent.

        The gate counts as soon as its level is requested, so an abandoned gate counts too.
        """
        namespace, key = self._namespace("gates"), digest("gate", run)
        item = await self._required_store.aget(namespace, key)
        if item and item.value["level"]:
            return float(item.value["level"])
        value = {
            "schema_version": SCHEMA_VERSION,
            "run": run,
            "level": None,
            "outcome": "undecided",
        }
        # This item is written before the others are counted. Of gates that begin at the same time,
        # each counts all that were written before it, so no two get too generous a level.
        await self._required_store.aput(namespace, key, value, index=False)
        others = [each["outcome"] for each in await self._values("gates") if each["run"] != run]
        level = Account(tried=len(others), published=others.count("publish")).next_level
        await self._required_store.aput(namespace, key, {**value, "level": level}, index=False)
        return level

    async def end_gate(self, run: str, decision: Decision) -> None:
        """Store what a run's gate decided."""
        namespace, key = self._namespace("gates"), digest("gate", run)
        if item := await self._required_store.aget(namespace, key):
            value = {**item.value, "outcome": decision.outcome}
            await self._required_store.aput(namespace, key, value, index=False)

    @property
    def _required_store(self) -> BaseStore:
        if self.store is None:
            raise BadInput("Releases need a store, but there is none. Compile the graph with one.")
        return self.store

    async def _values(self, kind: str) -> list[dict[str, Any]]:
        if self.store is None:
            return []
        namespace = self._namespace(kind)
        items = await self.store.asearch(namespace, limit=PAGE)
        # Some stores compare prefixes as text: a search for "a" also returns "ab".
        return [item.value for item in items if item.namespace == namespace]

    def _namespace(self, kind: str) -> tuple[str, ...]:
        return (kind, label(self.tenant), label(self.environment))


async def in_force(store: BaseStore) -> list[Release]:
    """Return the releases in force of all tenants and environments."""
    latest: dict[tuple[str, ...], Promotion] = {}
    for item in await store.asearch(("promotions",), limit=PAGE):
        kind, *whose = item.namespace
        if kind != "promotions":  # some stores compare prefixes as text
            continue
        promotion, before = _read(Promotion, item.value), latest.get(tuple(whose))
        if before is None or (promotion.time, promotion.run) > (before.time, before.run):
            latest[tuple(whose)] = promotion
    names = [(("releases", *whose), each.release) for whose, each in latest.items()]
    items = [await store.aget(namespace, name) for namespace, name in names if name]
    return [_read(Release, item.value) for item in items if item]


def _read(kind: type[_N], value: dict[str, Any]) -> _N:
    version = value.get("schema_version")
    what = kind.__name__.lower()
    if version != SCHEMA_VERSION:
        raise BrokenData(
            f"A stored {what} has schema version {version!r}, but this version of Apprentice reads "
            f"{SCHEMA_VERSION}. Use the version that wrote it."
        )
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise BrokenData(f"A stored {what} cannot be read: {error}") from error
