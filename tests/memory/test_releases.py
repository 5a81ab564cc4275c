"""Releases: the current one, the earlier ones, and the withdrawn ones."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from apprentice.memory.releases import Releases
from apprentice.state.errors import BadInput, BrokenData, UnknownName
from apprentice.state.gate import Gate
from apprentice.state.releases import Release
from apprentice.state.rulebook import Rule

HOME = "household/north/small"


def release(name: str, *texts: str) -> Release:
    rules = tuple(Rule(id=text, text=text, strength=2) for text in texts)
    return Release(id=name, tenant="t", environment=HOME, rules=rules, run=f"run {name}")


@pytest.fixture
def store() -> BaseStore:
    return InMemoryStore()


@pytest.fixture
def releases(store: BaseStore) -> Releases:
    return Releases(store, "t", HOME, clock=lambda: 100.0)


async def test_the_last_promotion_is_in_force(releases: Releases) -> None:
    assert await releases.current() is None
    for name in ("one", "two"):
        await releases.publish(release(name, name), reason=f"because {name}")
    assert (await releases.resolve("current")) == (await releases.get("two"))
    await releases.promote("one", run="undo")
    assert await releases.resolve("current") == await releases.resolve("one")
    await releases.promote("", run="away")
    assert await releases.current() is await releases.resolve("none") is None
    told = [(each.release, each.reason) for each in await releases.promotions()]
    assert told == [("one", "because one"), ("two", "because two"), ("one", ""), ("", "")]


async def test_a_retried_step_publishes_once(releases: Releases) -> None:
    for _ in range(2):
        await releases.publish(release("one", "Look."))
    assert len(await releases.all()) == len(await releases.promotions()) == 1


async def test_tenants_and_environments_are_apart(store: BaseStore, releases: Releases) -> None:
    await releases.publish(release("one", "Look."))
    for tenant, place in (("t2", HOME), ("t", f"{HOME}er"), ("t", "household")):
        assert await Releases(store, tenant, place).current() is None


async def test_a_unique_prefix_of_an_id_is_enough(releases: Releases) -> None:
    for name in ("abc", "abd"):
        await releases.publish(release(name))
    assert (await releases.get("abd")).id == (await releases.get("abc")).id[:2] + "d"
    with pytest.raises(UnknownName, match="Unknown release of household/north/small 'ab'"):
        await releases.get("ab")


async def test_other_changes_do_not_reset_the_time_of_a_rule() -> None:
    moments = iter(range(100))
    releases = Releases(InMemoryStore(), "t", HOME, clock=lambda: float(next(moments)))
    await releases.publish(release("one", "a", "b"))
    first = (await releases.promotions())[0].time
    await releases.publish(release("two", "a"))
    await releases.publish(release("three", "a", "b"))
    since = await releases.in_force_since()
    assert since["a", "a"] == first
    assert since["b", "b"] == (await releases.promotions())[-1].time


async def test_a_withdrawn_release_never_runs_again(releases: Releases) -> None:
    await releases.publish(release("bad", "a", "b"))
    await releases.publish(release("good", "b"))
    await releases.withdraw(lambda rule: rule.id == "a", "It was poisoned.")
    assert (await releases.resolve("current")) == (await releases.get("good"))
    with pytest.raises(BadInput, match=r"Release bad shows rules .*It was poisoned"):
        await releases.resolve("bad")


async def test_each_gate_is_stricter_until_one_publishes(releases: Releases) -> None:
    first = await releases.gate_level("one")
    second = await releases.gate_level("two")
    assert await releases.gate_level("one") == first == 0.025
    assert second == pytest.approx(0.05 / 6)
    decision = Gate(families=("a",)).decide().model_copy(update={"outcome": "publish"})
    await releases.end_gate("two", decision)
    assert await releases.gate_level("three") == pytest.approx(2 * 0.05 / 12)


async def test_concurrent_gates_do_not_exceed_the_level_together(store: BaseStore) -> None:
    names = [f"g{number}" for number in range(8)]
    levels = await asyncio.gather(*(Releases(store, "t", HOME).gate_level(name) for name in names))
    assert sum(levels) <= 0.05
    again = [await Releases(store, "t", HOME).gate_level(name) for name in names]
    assert again == levels


async def test_concurrent_releases_are_all_stored(store: BaseStore) -> None:
    names = [f"r{number}" for number in range(16)]
    await asyncio.gather(
        *(Releases(store, "t", HOME).publish(release(name, name)) for name in names)
    )
    reader = Releases(store, "t", HOME)
    assert {each.id for each in await reader.all()} == set(names)
    assert (await reader.current()) is not None


async def test_without_a_store_there_are_no_releases(tmp_path: Path) -> None:
    nowhere = Releases(None, "t", HOME)
    assert await nowhere.current() is None
    with pytest.raises(BadInput, match="Releases need a store"):
        await nowhere.publish(release("one"))


@pytest.mark.parametrize(
    ("change", "says"), [({"schema_version": 9}, "schema version 9"), ({"rules": 3}, "cannot be")]
)
async def test_an_unreadable_release_is_an_error(
    store: BaseStore, releases: Releases, change: dict[str, int], says: str
) -> None:
    await releases.publish(release("one", "a"))
    (item,) = await store.asearch(("releases",))
    await store.aput(item.namespace, item.key, {**item.value, **change})
    with pytest.raises(BrokenData, match=says):
        await releases.current()
