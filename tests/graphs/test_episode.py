"""One attempt: turns alternate, it always ends, and bad agents are answered, not followed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from apprentice.environments.registry import Environments
from apprentice.graphs import episode
from apprentice.nodes.agents import Agent
from apprentice.settings import Settings
from apprentice.state.errors import BadInput, ModelFailure, ModelUnavailable, UnknownName
from apprentice.state.prompts import Shown
from apprentice.state.trajectory import Task, Verdict, text_of
from apprentice.testing import Scripted
from apprentice.workspace import Workspace
from tests.environments.test_advance import Once
from tests.experts import expert_agent
from tests.places import environment

HOME = "household/north/small"
THREAD: RunnableConfig = {"configurable": {"thread_id": "one"}}


async def run(agent: Agent, task: Any, **given: Any) -> Any:
    asked: Any = {"task": task, **given}
    return await episode.build(agent=agent).compile().ainvoke(asked)


async def test_the_expert_solves_a_task(easy: Task) -> None:
    ended = await run(expert_agent, easy)
    kinds = [message.type for message in ended["messages"]]
    assert ended["verdict"] == Verdict(success=True, score=1.0, feedback="Solved.")
    assert kinds == ["system", "human", *["ai", "human"] * ended["steps"]]
    assert ended["usage"].calls == ended["steps"]
    assert ended["task"] == easy


async def test_a_task_is_known_by_its_environment_and_id(easy: Task) -> None:
    asked = {"environment": easy.environment, "id": easy.id, "instruction": "Do something else."}
    ended = await run(expert_agent, asked)
    assert ended["task"] == easy


async def test_what_is_shown_is_in_the_prompt_and_gone_in_the_next_run(easy: Task) -> None:
    graph = episode.build(agent=expert_agent).compile(checkpointer=InMemorySaver())
    given: Any = {
        "task": easy,
        "shown": {"rules": ["Look twice."], "reflections": ["Not the desk."]},
    }
    first = await graph.ainvoke(given, THREAD)
    again = await graph.ainvoke({"task": easy}, THREAD)
    system = text_of(first["messages"][0])
    assert "1. Look twice." in system
    assert "Not the desk." in system
    assert "Look twice." not in text_of(again["messages"][0])
    assert len(again["messages"]) == len(first["messages"])
    assert again["steps"] == first["steps"]


@pytest.mark.parametrize(
    ("says", "turns"),
    [
        ("", 3),
        ("I would rather talk about the weather, if you don't mind.", 3),
        ("word " * 10_000, 3),
    ],
)
async def test_an_agent_that_talks_nonsense_is_stuck(says: str, turns: int, easy: Task) -> None:
    ended = await run(lambda _: says, easy)
    assert ended["verdict"].success is False
    assert ended["verdict"].feedback.startswith("Stuck")
    assert ended["steps"] == turns
    assert max(len(text_of(message)) for message in ended["messages"][2:]) <= 4_000


async def test_an_agent_that_only_thinks_runs_out_of_steps(easy: Task) -> None:
    ended = await run(lambda _: "think: hm.", easy)
    limit = environment(easy.environment).step_limit(easy)
    assert ended["verdict"].feedback.startswith("Out of steps")
    assert ended["steps"] == limit
    assert text_of(ended["messages"][-1]) == "OK."


async def test_several_commands_in_a_turn_are_all_carried_out(easy: Task) -> None:
    said = iter(["look\ninventory", *["look"] * 3])
    ended = await run(lambda _: next(said), easy)
    assert ended["steps"] == 5
    assert len(text_of(ended["messages"][3]).splitlines()) == 2


async def test_steps_are_streamed(easy: Task) -> None:
    graph = episode.build(agent=expert_agent).compile()
    events = [event async for event in graph.astream({"task": easy}, stream_mode="custom")]
    assert {event["type"] for event in events} == {"episode.step"}
    assert [event["steps"] for event in events] == list(range(1, len(events) + 1))
    assert [event["over"] for event in events] == [False] * (len(events) - 1) + [True]


async def test_the_callers_judge_has_the_last_word(easy: Task) -> None:
    async def judge(task: Task, messages: Sequence[AnyMessage], verdict: Verdict) -> Verdict:
        steps = sum(message.type == "ai" for message in messages)
        return Verdict(success=verdict.success, score=1 / steps, source="rule", feedback=task.kind)

    plain = await run(expert_agent, easy)
    judged = await episode.build(agent=expert_agent, judge=judge).compile().ainvoke({"task": easy})
    assert judged["verdict"] == Verdict(
        success=True, score=1 / plain["steps"], source="rule", feedback=easy.kind
    )


async def test_a_judge_returns_a_verdict(easy: Task) -> None:
    graph = episode.build(agent=expert_agent, judge=lambda *_: True).compile()  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="returned a bool, but must return a Verdict"):
        await graph.ainvoke({"task": easy})


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"shown": {}}, BadInput, "No task was given"),
        ({"task": {"id": "test/1"}}, BadInput, "'task.environment' cannot be read"),
        ({"task": {"environment": "household", "id": "test/x"}}, BadInput, "no household task"),
        ({"task": {"environment": "houshold", "id": "test/1"}}, UnknownName, "Did you mean"),
        ({"task": "test/1"}, BadInput, "'task' cannot be read"),
        (
            {"task": {"environment": "household", "id": "test/1"}, "shown": {"rule": ["x"]}},
            UnknownName,
            "Did you mean 'rules'?",
        ),
        (
            {"task": {"environment": "household", "id": "test/1"}, "shown": {"rules": [1]}},
            BadInput,
            "'shown.rules.0' cannot be read",
        ),
    ],
)
async def test_bad_input_is_a_sentence(given: Any, error: type[BadInput], says: str) -> None:
    with pytest.raises(error, match=re.escape(says)) as raised:
        await episode.build(agent=expert_agent).compile().ainvoke(given)
    assert str(raised.value).endswith(".")


async def test_a_model_that_is_away_for_a_moment_is_asked_again(easy: Task) -> None:
    failures = iter([True, True, *[False] * 100])

    def agent(messages: list[AnyMessage]) -> str:
        if next(failures):
            raise ModelUnavailable("The model 'x' did not answer.")
        return expert_agent(messages)

    ended = await run(agent, easy)
    assert ended["verdict"].success


async def test_a_model_that_stays_away_loses_nothing(easy: Task) -> None:
    away = True

    def agent(messages: list[AnyMessage]) -> str:
        if away and len(messages) >= 6:
            raise ModelFailure("The model 'x' refused to answer.")
        return expert_agent(messages)

    graph = episode.build(agent=agent).compile(checkpointer=InMemorySaver())
    with pytest.raises(ModelFailure, match="refused"):
        await graph.ainvoke({"task": easy}, THREAD)
    kept = (await graph.aget_state(THREAD)).values
    assert (kept["steps"], len(kept["messages"])) == (2, 6)
    away = False
    ended = await graph.ainvoke(None, THREAD)
    assert ended["messages"][:6] == kept["messages"]
    assert ended["verdict"].success


async def test_a_chat_model_is_an_agent(easy: Task) -> None:
    model = Scripted(lambda messages: expert_agent(messages))  # type: ignore[arg-type]
    ended = await run(model, easy)
    assert ended["verdict"].success
    assert ended["usage"].output_tokens > 0
    assert all(isinstance(message, AIMessage) for message in ended["messages"][2::2])


async def test_it_runs_inside_another_graph_whose_context_is_foreign(easy: Task) -> None:
    class Outer(TypedDict, total=False):
        task: Task
        verdict: Verdict

    class Foreign(TypedDict):
        max_trials: int

    outer = (
        StateGraph(Outer, Foreign)
        .add_node("episode", episode.build(agent=expert_agent).compile())
        .add_edge(START, "episode")
        .compile()
    )
    ended = await outer.ainvoke({"task": easy}, context={"max_trials": 7_000})
    assert ended["verdict"].success


async def test_a_shown_object_is_as_good_as_its_dict(easy: Task) -> None:
    ended = await run(expert_agent, easy, shown=Shown(plan=["Start at the cart."]))
    assert "Start at the cart." in text_of(ended["messages"][0])


async def test_attempts_side_by_side_keep_the_sessions_that_cannot_be_replayed(
    tmp_path: Path,
) -> None:
    """Each carries its own on, and one that goes back to an earlier moment is interrupted."""

    async def patient(messages: list[AnyMessage]) -> str:
        await asyncio.sleep(0.01)
        return "finish" if len(messages) >= 6 else "wait"

    workspace = Workspace(tmp_path, environments={"once": Once})
    graph = episode.build(workspace=workspace, agent=patient).compile(checkpointer=InMemorySaver())
    task: Any = {"task": {"environment": "once", "id": "only"}}
    threads: list[RunnableConfig] = [{"configurable": {"thread_id": str(n)}} for n in range(3)]
    for ended in await asyncio.gather(*(graph.ainvoke(task, thread) for thread in threads)):
        seen = [text_of(message) for message in ended["messages"] if message.type == "human"]
        assert seen == ["hello", "wait 1", "wait 2", "finish 3"]
        assert not ended["verdict"].interrupted
    history = [snapshot async for snapshot in graph.aget_state_history(threads[0])]
    earlier = next(each for each in history if each.values.get("steps") == 1)
    forked = await graph.ainvoke(None, earlier.config)
    assert forked["verdict"].interrupted


@pytest.mark.parametrize("name", ["qa/moods", HOME])
async def test_another_process_goes_on_without_reading_files_on_the_event_loop(
    name: str, tmp_path: Path
) -> None:
    blockbuster = pytest.importorskip("blockbuster")
    (tmp_path / "qa").mkdir()
    (tmp_path / "qa" / "moods.jsonl").write_text('{"question": "How?", "answer": "fine"}\n')
    settings, saver = Settings(tasks=tmp_path), InMemorySaver()

    def process() -> Any:
        """Return the graph as a process that has just begun has it."""
        workspace = Workspace(tmp_path / "data", settings=settings)
        built = episode.build(workspace=workspace, agent=lambda _: "fine")
        return built.compile(checkpointer=saver, interrupt_before=["step"])

    where = Environments(tmp_path).get(name)
    task = next(iter(where.tasks(where.splits[0], 1)))
    await process().ainvoke({"task": task}, THREAD)
    with blockbuster.blockbuster_ctx():
        ended = await process().ainvoke(None, THREAD)
    assert ended["steps"] == 1
