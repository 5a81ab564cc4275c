"""Reflections on tasks, in the stores that the project uses."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.store.base import BaseStore

from apprentice.memory.namespace_labels import label, name_of
from apprentice.memory.reflections import Reflections
from apprentice.memory.store import open_store
from apprentice.state.errors import BrokenData
from apprentice.state.trajectory import Reflection, Task, trajectory_id

TASK = Task(id="test/1", environment="household/north/small")


async def test_all_reflections_are_returned_in_the_order_of_writing(store: BaseStore) -> None:
    memory = Reflections(store, "team", TASK)
    written = [Reflection(text=f"lesson {number}", trial=number) for number in range(1, 31)]
    for reflection in written:
        await memory.add("run", reflection)
    assert await memory.all() == written


async def test_a_repeated_write_changes_nothing(store: BaseStore) -> None:
    memory = Reflections(store, "team", TASK)
    for text in ("first words", "other words of a repeated node"):
        await memory.add("run", Reflection(text=text, trial=1))
    await memory.add("another run", Reflection(text="its own", trial=1))
    assert [reflection.text for reflection in await memory.all()] == ["first words", "its own"]


async def test_concurrent_writers_lose_nothing(store: BaseStore) -> None:
    async def write(run: int) -> None:
        await Reflections(store, "team", TASK).add(f"run {run}", Reflection(text="x", trial=1))

    await asyncio.gather(*(write(run) for run in range(32)))
    assert len(await Reflections(store, "team", TASK).all()) == 32


async def test_tenants_environments_and_tasks_stay_apart(store: BaseStore) -> None:
    mine = Reflections(store, "a.b", TASK)
    await mine.add("run", Reflection(text="mine", trial=1))
    await mine.mark_solved("t1")
    others = [
        Reflections(store, "a", TASK),
        Reflections(store, "a~2e~b", TASK),
        Reflections(store, "a.b", TASK.model_copy(update={"id": "test/10"})),
        Reflections(store, "A.B", TASK),
        Reflections(store, "a.b", TASK.model_copy(update={"environment": "household"})),
    ]
    for other in others:
        assert await other.all() == []
        assert await other.solved_by() == ""
    assert await mine.solved_by() == "t1"


async def test_without_a_store_nothing_is_written() -> None:
    memory = Reflections(None, "team", TASK)
    await memory.add("run", Reflection(text="lost", trial=1))
    await memory.mark_solved("t1")
    assert (await memory.all(), await memory.solved_by()) == ([], "")


async def test_an_unknown_schema_version_is_named(store: BaseStore) -> None:
    namespace = ("reflections", "team", label(TASK.environment), label(TASK.id))
    await store.aput(namespace, "k", {"schema_version": 99, "text": "?"})
    with pytest.raises(BrokenData, match="schema version 99"):
        await Reflections(store, "team", TASK).all()


async def test_reflections_are_there_after_the_store_is_closed(tmp_path: Path) -> None:
    async with open_store(tmp_path / "data") as opened:
        await Reflections(opened, "team", TASK).add("run", Reflection(text="kept", trial=1))
    async with open_store(tmp_path / "data") as opened:
        assert (await Reflections(opened, "team", TASK).all())[0].text == "kept"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_labels_are_safe_and_unique(one: str, other: str) -> None:
    assert label(one)
    assert not set(label(one)) & set(".%*?[] /")
    assert (label(one) == label(other)) == (one == other)
    assert name_of(label(one)) == one


async def test_forget_erases_only_what_the_run_wrote(store: BaseStore) -> None:
    memory = Reflections(store, "team", TASK)
    await memory.add("earlier", Reflection(text="kept", trial=1))
    await memory.add("killed", Reflection(text="taken back", trial=1))
    await memory.mark_solved(trajectory_id("team", TASK, "killed", 2))
    await memory.forget("another", trials=6)
    assert await memory.solved_by()
    await memory.forget("killed", trials=6)
    assert await memory.solved_by() == ""
    assert [reflection.text for reflection in await memory.all()] == ["kept"]
    await memory.mark_solved(trajectory_id("team", TASK, "earlier", 1))
    await memory.forget("killed", trials=6)
    assert await memory.solved_by()
