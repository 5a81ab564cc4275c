"""Every attempt of reflexion is remembered, where there is a memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.messages import AnyMessage
from langgraph.store.memory import InMemoryStore

from graphs import reflexion
from memory.experience import Experience, opening
from state.context import Context
from state.experience import Query
from state.nouns import Task
from tests.experts import expert_agent, expert_reflector
from tests.memory.experience.attempts import Words


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the real engine open throughout; every test has a tenant of its own."""
    with pytest.MonkeyPatch.context() as settings:
        settings.delenv("QDRANT_URL", raising=False)
        settings.setenv("APPRENTICE_DATA", str(tmp_path_factory.mktemp("data")))
        yield
        asyncio.run(opening.close())


async def words(tenant: str) -> Experience:
    return await opening.opened(tenant, "words", Words())


async def run(task: Task, tenant: str, *, store: bool = True, **settings: Any) -> Any:
    graph = reflexion.build(expert_agent, reflector=expert_reflector, memory=words)
    compiled = graph.compile(store=InMemoryStore() if store else None)
    context = Context(tenant=tenant, max_trials=4, **settings)
    return await compiled.ainvoke({"task": task, "run": "r"}, context=context)


async def test_every_attempt_and_lesson_is_kept(hard: Task) -> None:
    tenant = str(uuid4())
    ended = await run(hard, tenant)
    memory = await words(tenant)
    attempts = {each.trajectory.id: each.trajectory async for each in memory.browse()}
    assert attempts == {attempt.id: attempt for attempt in ended["attempts"]}
    assert len(attempts) >= 2
    report = await memory.report()
    assert (report.successes, report.failures) == (1, len(attempts) - 1)
    assert report.reflections == len(ended["reflections"]) == len(attempts) - 1
    assert report.held_out == len(attempts)  # it is a task of the test split

    await run(hard, tenant)  # the same run again, as after a crash
    assert await memory.report() == report


async def test_a_recorded_attempt_is_not_made_again(hard: Task) -> None:
    tenant = str(uuid4())
    first = await run(hard, tenant)
    graph = reflexion.build(_nobody, reflector=expert_reflector, memory=words)
    compiled = graph.compile(store=InMemoryStore())  # the checkpoints and the store are gone
    context = Context(tenant=tenant, max_trials=4)
    again = await compiled.ainvoke({"task": hard, "run": "r"}, context=context)
    assert again["attempts"] == first["attempts"]
    assert again["outcome"] == first["outcome"] == "solved"


def _nobody(messages: Sequence[AnyMessage]) -> str:
    raise AssertionError("No attempt is due.")


async def test_a_task_to_learn_from_helps_the_next_one(easy: Task) -> None:
    tenant = str(uuid4())
    task = easy.model_copy(update={"id": easy.id.replace("test", "train")})
    ended = await run(task, tenant)
    (found,) = await (await words(tenant)).recall(Query(task=easy, how="random"))
    assert found.task.split == "train"
    assert (found.trajectory, found.success) == (ended["attempts"][-1].id, True)


@pytest.mark.parametrize("settings", [{"store": False}, {"record": False}])
async def test_nothing_is_kept_where_that_was_not_asked_for(easy: Task, settings: Any) -> None:
    tenant = str(uuid4())
    ended = await run(easy, tenant, **settings)
    assert ended["outcome"] == "solved"
    assert (await (await words(tenant)).report()).attempts == 0
