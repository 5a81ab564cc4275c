"""Every attempt of reflexion and of an episode alone is remembered, where there is a memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

from apprentice.graphs import episode, reflexion
from apprentice.memory.experience import Experience, OpenExperience
from apprentice.state.context import Context
from apprentice.state.experience import Query
from apprentice.state.trajectory import Task, Trajectory, Verdict
from tests.experts import expert_agent, expert_reflector
from tests.memories import shared

words = shared().experience


THREAD: RunnableConfig = {"configurable": {"thread_id": "one"}}


async def run(task: Task, tenant: str, *, store: bool = True, **settings: Any) -> Any:
    graph = reflexion.build(agent=expert_agent, reflector=expert_reflector, record_to=words)
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
    graph = reflexion.build(agent=_nobody, reflector=expert_reflector, record_to=words)
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


def alone(judge: Any = None, record_to: OpenExperience = words) -> Any:
    """Return the episode graph as a server has it, with the expert in place of a model."""
    built = episode.build(agent=expert_agent, judge=judge, person=True, record_to=record_to)
    return built.compile(checkpointer=InMemorySaver(), store=InMemoryStore())


async def kept_of(tenant: str) -> list[Trajectory]:
    return [each.trajectory async for each in (await words(tenant)).browse()]


async def test_an_episode_alone_is_kept_whole(easy: Task) -> None:
    tenant = str(uuid4())
    mine = Context(tenant=tenant)
    ended = await alone().ainvoke({"task": easy, "run": "monday"}, THREAD, context=mine)
    (kept,) = await kept_of(tenant)
    assert kept.id == ended["trajectory"]
    assert (kept.task, kept.run, kept.trial) == (easy, "monday", 1)
    assert list(kept.messages) == ended["messages"]
    assert (kept.verdict, kept.usage) == (ended["verdict"], ended["usage"])
    assert (kept.in_view, kept.model) == (ended["in_view"], mine.model)
    assert kept.ended_at is not None
    await alone().ainvoke({"task": easy, "run": "monday"}, THREAD, context=mine)  # after a crash
    assert await kept_of(tenant) == [kept]


async def test_recording_that_failed_is_made_up_for(easy: Task) -> None:
    tenant, failed = str(uuid4()), list[str]()

    async def full_at_first(tenant: str) -> Experience:
        if not failed:
            failed.append(tenant)
            raise OSError("The disk is full.")
        return await words(tenant)

    graph, mine = alone(record_to=full_at_first), Context(tenant=tenant)
    with pytest.raises(OSError, match="The disk is full"):
        await graph.ainvoke({"task": easy}, THREAD, context=mine)
    ended = await graph.ainvoke(None, THREAD, context=mine)
    assert [each.id for each in await kept_of(tenant)] == [ended["trajectory"]]


async def test_a_fork_is_an_attempt_of_its_own(easy: Task) -> None:
    tenant, graph = str(uuid4()), alone()
    mine = Context(tenant=tenant)
    ended = await graph.ainvoke({"task": easy}, THREAD, context=mine)
    history = [snapshot async for snapshot in graph.aget_state_history(THREAD)]
    first = next(s for s in history if s.next == ("step",) and s.values["steps"] == 0)
    turn = AIMessage("inventory", id=first.values["messages"][-1].id)
    fork = await graph.aupdate_state(first.config, {"messages": [turn]}, as_node="act")
    forked = await graph.ainvoke(None, fork, context=mine)
    assert {each.id: list(each.messages) for each in await kept_of(tenant)} == {
        ended["trajectory"]: ended["messages"],
        forked["trajectory"]: forked["messages"],
    }
    assert ended["trajectory"] != forked["trajectory"]


async def test_an_episode_is_kept_with_the_word_of_ones_own_judge(easy: Task) -> None:
    tenant, verdict = str(uuid4()), Verdict(success=False, source="rule", feedback="Too slow.")
    await alone(lambda *_: verdict).ainvoke({"task": easy}, THREAD, context=Context(tenant=tenant))
    assert [each.verdict for each in await kept_of(tenant)] == [verdict]


async def test_an_episode_that_is_not_to_be_kept_is_not(easy: Task) -> None:
    tenant = str(uuid4())
    settings = Context(tenant=tenant, record=False)
    ended = await alone().ainvoke({"task": easy}, THREAD, context=settings)
    assert (ended["verdict"].success, ended["trajectory"]) == (True, "")
    storeless = episode.build(agent=expert_agent, record_to=words).compile()
    assert (await storeless.ainvoke({"task": easy}, context=Context(tenant=tenant)))["steps"] > 0
    assert await kept_of(tenant) == []
