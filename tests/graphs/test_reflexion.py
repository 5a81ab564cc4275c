"""Trying again with a lesson: the loop, its strategies, and what later runs remember."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

from apprentice.graphs import reflexion
from apprentice.state.context import Context, Strategy
from apprentice.state.errors import BadInput
from apprentice.state.prompts import LAST_ATTEMPT, REFLECTIONS, Shown
from apprentice.state.trajectory import (
    Reflection,
    Task,
    Verdict,
    text_of,
    trajectory_id,
    transcript,
)
from apprentice.testing import Scripted
from tests.experts import expert_agent, expert_reflector

THREAD: RunnableConfig = {"configurable": {"thread_id": "one"}}


def always(text: str) -> Scripted:
    return Scripted(lambda _: text)


def numbered() -> Scripted:
    """Return a reflector that numbers its lessons."""
    return Scripted([f"lesson {number}" for number in range(1, 100)])


async def run(
    task: Task, agent: Any = None, reflector: Any = None, store: Any = None, **settings: Any
) -> Any:
    graph = reflexion.build(agent=agent or always("look"), reflector=reflector or numbered())
    return await graph.compile(store=store).ainvoke({"task": task}, context=Context(**settings))


async def test_what_one_attempt_taught_solves_the_next(hard: Task) -> None:
    alone = await run(hard, expert_agent, strategy="none", max_trials=4)
    taught = await run(hard, expert_agent, expert_reflector, max_trials=4)
    assert alone["outcome"] == "failed"
    assert alone["trials"] == 4
    assert taught["outcome"] == "solved"
    assert 2 <= taught["trials"] <= 4
    assert [attempt.verdict.success for attempt in taught["attempts"]] == [
        *[False] * (taught["trials"] - 1),
        True,
    ]
    assert taught["verdict"] == taught["attempts"][-1].verdict


@pytest.mark.parametrize(
    ("strategy", "lessons", "last"),
    [
        ("none", False, False),
        ("last_attempt", False, True),
        ("reflection", True, False),
        ("last_attempt_and_reflection", True, True),
    ],
)
async def test_a_strategy_decides_what_is_shown(
    strategy: Strategy, lessons: bool, last: bool, easy: Task
) -> None:
    ended = await run(easy, strategy=strategy, max_trials=2)
    first, second = (text_of(attempt.messages[0]) for attempt in ended["attempts"])
    assert REFLECTIONS not in first
    assert LAST_ATTEMPT not in first
    assert (f"{REFLECTIONS}\n- lesson 1" in second) is lessons
    shown = f"{LAST_ATTEMPT}\n{transcript(ended['attempts'][0].messages)}"
    assert (shown in second) is last
    assert len(ended["reflections"]) == (1 if lessons else 0)


async def test_the_last_few_reflections_are_shown_and_all_are_kept(easy: Task) -> None:
    ended = await run(easy, max_trials=6, window=3)
    shown = [[r.trial for r in attempt.in_view.reflections] for attempt in ended["attempts"]]
    assert shown == [[], [1], [1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]
    last = text_of(ended["attempts"][-1].messages[0])
    assert "- lesson 3\n- lesson 4\n- lesson 5" in last
    assert "lesson 2" not in last
    assert ended["reflections"] == [Reflection(text=f"lesson {n}", trial=n) for n in range(1, 6)]


async def test_earlier_reflections_and_feedback_reach_the_reflector(easy: Task) -> None:
    def judge(task: Task, messages: Sequence[AnyMessage], verdict: Verdict) -> Verdict:
        return Verdict(
            success=False, score=0.25, feedback="The mug was never seen.", source="human"
        )

    reflector = numbered()
    graph = reflexion.build(agent=always("look"), judge=judge, reflector=reflector).compile()
    ended = await graph.ainvoke({"task": easy}, context=Context(max_trials=3))
    asked = reflector.prompts[1][-1].text
    assert transcript(ended["attempts"][1].messages) + "\nSTATUS: FAIL" in asked
    assert "Feedback: Score: 0.25 of 1. The mug was never seen." in asked
    assert "Plans from earlier attempts:\nlesson 1" in asked
    assert ended["verdict"].source == "human"


async def test_a_later_run_starts_with_what_an_earlier_one_learned(hard: Task) -> None:
    def never(task: Task, messages: Sequence[AnyMessage], verdict: Verdict) -> Verdict:
        return Verdict(success=False, score=0)

    store = InMemoryStore()
    strict = reflexion.build(agent=expert_agent, judge=never, reflector=expert_reflector).compile(
        store=store
    )
    first = await strict.ainvoke({"task": hard}, context=Context(max_trials=3))
    later = await run(hard, expert_agent, expert_reflector, store)
    other = await run(hard, expert_agent, expert_reflector, store, strategy="none", tenant="other")
    assert len(first["reflections"]) == 2
    assert later["attempts"][0].in_view.reflections == tuple(first["reflections"])
    assert (later["outcome"], later["trials"]) == ("solved", 1)
    assert other["outcome"] == "failed"


async def test_a_solved_task_is_left_alone(easy: Task) -> None:
    store = InMemoryStore()
    solved = await run(easy, expert_agent, store=store)
    again = await run(easy, expert_agent, store=store)
    elsewhere = await run(easy, expert_agent, store=store, tenant="others")
    assert (solved["outcome"], solved["trials"]) == ("solved", 1)
    assert (again["outcome"], again["trials"], again["attempts"]) == ("solved_before", 0, [])
    assert again["verdict"].success
    assert solved["attempts"][0].id in again["verdict"].feedback
    assert elsewhere["trials"] == 1


async def test_a_task_to_be_skipped_is_left_alone_once(easy: Task) -> None:
    graph = reflexion.build(agent=expert_agent).compile(checkpointer=InMemorySaver())
    skipped = await graph.ainvoke({"task": easy, "skip": True}, THREAD)
    done = await graph.ainvoke({"task": easy}, THREAD)
    assert (skipped["outcome"], skipped["trials"]) == ("skipped", 0)
    assert skipped["verdict"].success is None
    assert (done["outcome"], done["trials"]) == ("solved", 1)


async def test_a_second_run_on_a_thread_starts_clean(easy: Task, hard: Task) -> None:
    reflector = numbered()
    graph = reflexion.build(agent=always("look"), reflector=reflector).compile(
        checkpointer=InMemorySaver()
    )
    first = await graph.ainvoke({"task": easy}, THREAD, context=Context(max_trials=2))
    second = await graph.ainvoke({"task": hard}, THREAD, context=Context(max_trials=1))
    assert (first["trials"], second["trials"]) == (2, 1)
    assert second["reflections"] == []
    assert second["attempts"][0].run != first["attempts"][0].run


async def test_attempts_are_named_by_tenant_task_run_and_trial(easy: Task) -> None:
    graph = reflexion.build(agent=always("look"), reflector=numbered()).compile()
    given: Any = {"task": easy, "run": "monday"}
    ended = await graph.ainvoke(given, context=Context(tenant="team", max_trials=2))
    again = await graph.ainvoke(given, context=Context(tenant="team", max_trials=2))
    ids = [attempt.id for attempt in ended["attempts"]]
    assert ids == [trajectory_id("team", easy, "monday", trial) for trial in (1, 2)]
    assert ids == [attempt.id for attempt in again["attempts"]]


async def test_what_nobody_can_judge_ends_the_run(easy: Task) -> None:
    graph = reflexion.build(
        agent=always("look"), judge=lambda *_: Verdict(), reflector=numbered()
    ).compile()
    ended = await graph.ainvoke({"task": easy})
    assert (ended["outcome"], ended["trials"]) == ("unjudged", 1)


async def test_a_reflector_with_nothing_to_say_leaves_no_lesson(easy: Task) -> None:
    ended = await run(easy, reflector=always("  "), max_trials=3)
    assert (ended["trials"], ended["reflections"]) == (3, [])


async def test_the_background_is_shown_in_every_attempt(easy: Task) -> None:
    graph = reflexion.build(agent=always("look"), reflector=numbered()).compile()
    given: Any = {"task": easy, "shown": Shown(rules=["Cups are cold."], reflections=["not mine"])}
    ended = await graph.ainvoke(given, context=Context(max_trials=2))
    systems = [text_of(attempt.messages[0]) for attempt in ended["attempts"]]
    assert all("1. Cups are cold." in system for system in systems)
    assert f"{REFLECTIONS}\n- not mine\n- lesson 1" in systems[1]


async def test_progress_is_streamed(easy: Task) -> None:
    graph = reflexion.build(agent=always("look"), reflector=numbered()).compile()
    told: list[tuple[bool, Any]] = [
        (bool(where), event)
        async for where, event in graph.astream(
            {"task": easy}, context=Context(max_trials=2), stream_mode="custom", subgraphs=True
        )
    ]
    trial = [*[(True, "episode.step")] * 3, (False, "reflexion.trial")]
    learned, done = (False, "reflexion.reflection"), (False, "reflexion.done")
    assert [(inner, event["type"]) for inner, event in told] == [*trial, learned, *trial, done]
    assert told[-1][1]["outcome"] == "failed"
    assert told[4][1]["text"] == "lesson 1"


async def test_skip_is_yes_or_no(easy: Task) -> None:
    graph = reflexion.build(agent=expert_agent).compile()
    odd: Any = {"task": easy, "skip": "perhaps"}
    with pytest.raises(BadInput, match="'skip' cannot be read"):
        await graph.ainvoke(odd)


@pytest.mark.parametrize("name", ["x" * 201, "a\nb", 7])
async def test_a_run_has_a_name(name: Any, easy: Task) -> None:
    with pytest.raises(BadInput, match="'run' cannot be read"):
        await reflexion.build(agent=expert_agent).compile().ainvoke({"task": easy, "run": name})


async def test_an_interrupted_attempt_is_on_record_and_another_takes_its_place(easy: Task) -> None:
    def judge(task: Task, messages: Sequence[AnyMessage], verdict: Verdict) -> Verdict:
        broken.append(Verdict(feedback="Interrupted.", interrupted=True))
        return broken[-1] if len(broken) < 3 else verdict

    broken: list[Verdict] = []
    reflector = numbered()
    graph = reflexion.build(agent=expert_agent, judge=judge, reflector=reflector).compile()
    settings = Context(max_trials=4, strategy="last_attempt_and_reflection")
    ended = await graph.ainvoke({"task": easy}, context=settings)
    assert [attempt.verdict.interrupted for attempt in ended["attempts"]] == [True, True, False]
    assert (ended["outcome"], ended["trials"]) == ("solved", 3)
    assert reflector.prompts == []  # it taught nothing
    assert LAST_ATTEMPT not in text_of(ended["attempts"][2].messages[0])
    broken.clear()
    ended = await graph.ainvoke({"task": easy}, context=Context(max_trials=2))
    assert (ended["outcome"], ended["trials"]) == ("unjudged", 2)


async def test_what_reflecting_cost_is_counted_beside_the_attempts(easy: Task) -> None:
    reflector = Scripted(["one two three", " ", "four"])
    ended = await run(easy, reflector=reflector, max_trials=4)
    spent = ended["reflection_usage"]
    assert spent.calls == 3  # the one that had nothing to say too
    assert spent.output_tokens == 4
    read = sum(len(m.text.split()) for prompt in reflector.prompts for m in prompt)
    assert spent.input_tokens == read
    assert spent.seconds > 0
    assert sum(attempt.usage.calls for attempt in ended["attempts"]) == 12
