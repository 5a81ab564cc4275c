"""Shown what worked before: what is recalled, where it is shown, and what is remembered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from apprentice.graphs import exemplar, reflexion
from apprentice.memory.experience import Experience
from apprentice.state.context import Context
from apprentice.state.errors import BadInput, BrokenData, MissingPart, UnknownName
from apprentice.state.exemplar import ExemplarInput, ExemplarOutput
from apprentice.state.prompts import (
    ADAPT,
    ADAPTED,
    EXEMPLARS,
    FAILURES,
    SIMILAR_REFLECTIONS,
    STEPS,
    Shown,
)
from apprentice.state.trajectory import (
    Task,
    Trajectory,
    Verdict,
    text_of,
    trajectory_id,
    transcript,
)
from apprentice.testing import Scripted
from apprentice.workspace import Workspace
from tests.conftest import Offer
from tests.experts import expert_agent
from tests.memories import Memories, shared
from tests.places import environment

NORTH = "household/north/small"
MINE: Any = {"recall": "fixed", "exemplar_set": "mine"}


def task(name: str) -> Task:
    return environment(NORTH).task(name)


def always(text: str) -> Scripted:
    return Scripted(lambda _: text)


def system(attempt: Any) -> str:
    return text_of(attempt.messages[0])


async def run(memory: Memories, name: str, agent: Any = None, **settings: Any) -> Any:
    """Attempt one task: the expert acts unless told otherwise."""
    planner = settings.pop("planner", None)
    graph = exemplar.build(
        workspace=memory.workspace,
        agent=agent or expert_agent,
        planner=planner,
        recall_from=memory,
        record_to=memory,
    ).compile()
    return await graph.ainvoke(
        {"task": task(name)}, context=Context(**{"tenant": memory.tenant} | settings)
    )


@pytest.fixture(scope="module")
def attempts() -> list[Trajectory]:
    """Return two solved tasks (train/1 and train/8) and a failed one (train/2)."""

    async def made() -> list[Trajectory]:
        players = {"train/1": expert_agent, "train/8": expert_agent, "train/2": always("look")}
        ended = [await run(Memories(), name, agent) for name, agent in players.items()]
        return [attempt for each in ended for attempt in each["attempts"]]

    return asyncio.run(made())


@pytest.fixture
async def memory(attempts: list[Trajectory]) -> Memories:
    """Return a memory of these attempts."""
    kept = Memories()
    await kept.keep(attempts)
    return kept


async def test_every_attempt_is_remembered_with_its_outcome() -> None:
    memory = Memories()
    for name, agent in (("train/1", None), ("train/8", None), ("train/2", always("look"))):
        await run(memory, name, agent)
    kept = await memory.all()
    assert [(each.task.id, each.verdict.success) for each in kept] == [
        ("train/1", True),
        ("train/8", True),
        ("train/2", False),
    ]
    assert kept[1].in_view.exemplars == (kept[0].id,)
    assert kept[1].usage.calls == sum(message.type == "ai" for message in kept[1].messages)


async def test_where_no_memory_can_be_opened_no_attempt_is_made() -> None:
    async def none(tenant: str) -> Experience:
        raise MissingPart("The packages of the memory are not installed.")

    agent = always("look")
    graph = exemplar.build(agent=agent, recall_from=none, record_to=none).compile()
    settings: Any = {"exemplars": 0}
    with pytest.raises(MissingPart, match="not installed"):
        await graph.ainvoke({"task": task("train/1")}, context=settings)
    assert agent.prompts == []
    ended = await graph.ainvoke({"task": task("train/1")}, context=settings | {"record": False})
    assert len(ended["attempts"]) == 1


async def test_the_same_run_again_is_remembered_once(memory: Memories) -> None:
    graph = exemplar.build(agent=expert_agent, recall_from=memory, record_to=memory).compile()
    given: ExemplarInput = {"task": task("train/3"), "run": "monday"}
    mine = Context(tenant=memory.tenant)
    ids = {(await graph.ainvoke(given, context=mine))["attempts"][0].id for _ in range(2)}
    assert ids == {trajectory_id(memory.tenant, task("train/3"), "monday", 1)}
    assert len(await memory.all()) == 4


async def test_a_run_that_is_not_to_be_recorded_is_not(memory: Memories) -> None:
    ended = await run(memory, "train/3", record=False, exemplars=1)
    assert len(ended["recollections"]) == 1
    assert len(await memory.all()) == 3


async def test_solved_tasks_are_shown_whole(memory: Memories) -> None:
    ended = await run(memory, "test/3", exemplars=2)
    (attempt,) = ended["attempts"]
    cases = [each for each in await memory.all() if each.task.id in ("train/1", "train/8")]
    assert set(attempt.in_view.exemplars) == {each.id for each in cases}
    shown = [each.text for each in ended["recollections"]]
    assert f"{EXEMPLARS}\n" + "\n".join(shown) in system(attempt)
    assert {transcript(each.messages) for each in cases} == set(shown)


async def test_nothing_is_shown_of_an_empty_memory_or_when_none_is_wanted(
    memory: Memories,
) -> None:
    plain = environment(NORTH).instructions
    assert system((await run(Memories(), "test/3"))["attempts"][0]) == plain
    assert system((await run(memory, "test/3", exemplars=0))["attempts"][0]) == plain


async def test_failures_are_shown_as_what_did_not_work(memory: Memories) -> None:
    ended = await run(memory, "test/3", exemplars=1, failures=2)
    (attempt,) = ended["attempts"]
    (failed,) = [each for each in await memory.all() if each.task.id == "train/2"]
    before, _, warned = system(attempt).partition(FAILURES)
    assert EXEMPLARS in before
    assert warned.strip() == transcript(failed.messages)
    assert failed.id in attempt.in_view.exemplars


async def test_lessons_from_similar_tasks_are_shown_as_such(memory: Memories) -> None:
    (failed,) = [each for each in await memory.all() if not each.verdict.success]
    await (await memory(memory.tenant)).reflect(failed.id, "Looking around opens nothing.")
    ended = await run(memory, "test/3", exemplars=0, similar_reflections=1)
    attempt = ended["attempts"][0]
    assert system(attempt).endswith(f"{SIMILAR_REFLECTIONS}\n- Looking around opens nothing.")
    assert attempt.in_view.exemplars == (failed.id,)


async def test_the_best_case_is_adapted_and_the_plan_shown_in_its_place(memory: Memories) -> None:
    planner = always("Go to the shelf first.")
    ended = await run(memory, "test/3", exemplars=2, adapt=True, planner=planner)
    best, second = ended["recollections"]
    (attempt,) = ended["attempts"]
    ((asked, case),) = planner.prompts
    assert asked.text == ADAPT
    assert case.text.startswith(best.text)
    assert text_of(attempt.messages[1]) in case.text
    assert ended["plan"] == "Go to the shelf first."
    assert f"{ADAPTED}\nGo to the shelf first." in system(attempt)
    assert second.text in system(attempt)
    assert best.text not in system(attempt)
    assert attempt.in_view.exemplars == (best.trajectory, second.trajectory)


async def test_what_adapting_cost_is_the_attempts(memory: Memories) -> None:
    planner = Scripted(lambda _: "Go to the shelf first.")
    plain = (await run(memory, "test/3", record=False))["attempts"][0].usage
    ended = await run(memory, "test/3", adapt=True, planner=planner)
    (attempt,) = ended["attempts"]
    turns = sum(message.type == "ai" for message in attempt.messages)
    assert plain.output_tokens == 0  # the expert counts none
    assert attempt.usage.calls == turns + 1
    assert attempt.usage.output_tokens == 5
    assert attempt.usage.input_tokens == sum(len(m.text.split()) for m in planner.prompts[0])
    assert (await memory.all())[-1].usage == attempt.usage


async def test_a_planner_with_nothing_to_say_leaves_the_case_as_it_is(memory: Memories) -> None:
    ended = await run(memory, "test/3", adapt=True, planner=always(" "))
    assert ended["plan"] == ""
    assert ended["recollections"][0].text in system(ended["attempts"][0])


async def test_moments_are_recalled_in_every_turn_and_stay_out_of_the_transcript(
    memory: Memories,
) -> None:
    shown = [text_of(message) for each in await memory.all() for message in each.messages]
    agent = Scripted(lambda messages: expert_agent(cast("list[AnyMessage]", messages)))
    ended = await run(memory, "test/3", agent, exemplars=0, similar_steps=1)
    (attempt,) = ended["attempts"]
    prompts = [prompt[0].text for prompt in agent.prompts]
    recalled = [prompt.partition(STEPS)[2].strip() for prompt in prompts]
    assert all(recalled)
    assert len(set(recalled)) > 1
    assert all(moment.partition("\n> ")[0] in shown for moment in recalled)
    assert STEPS not in "".join(text_of(message) for message in attempt.messages)
    assert attempt.in_view.exemplars
    questions = memory.asked[-len(prompts) :]
    seen = [text_of(message) for message in attempt.messages if message.type == "human"]
    assert [question.text for question in questions] == seen[: len(prompts)]


async def test_what_is_shown_fits_a_budget_in_the_models_own_tokens(memory: Memories) -> None:
    texts = [transcript(each.messages) for each in await memory.all()]
    novice = {"model": "local:novice"}
    count = shared().count_tokens(novice["model"])
    sizes = [count(text) for text in texts]
    assert max(sizes) < max(len(text.split()) for text in texts)  # phrases are single tokens
    for budget in (min(sizes[:2]), sizes[0] + sizes[1], sum(sizes)):
        limits = {"exemplars": 2, "failures": 1, "shown_tokens": budget}
        ended = await run(memory, "test/3", **novice, **limits)
        spent = [each.tokens for each in ended["recollections"]]
        assert sum(spent) <= budget
        assert len(spent) == {sizes[0] + sizes[1]: 2, sum(sizes): 3}.get(budget, len(spent))
    every = await run(memory, "test/3", exemplars=2, failures=1, shown_tokens=0)
    assert len(every["recollections"]) == 3


async def test_the_settings_become_the_question(memory: Memories) -> None:
    await run(memory, "test/3", recall="meaning", exemplars=4, threshold=0.3, diversity=0.5)
    asked = memory.asked[-1]
    assert (asked.how, asked.limit, asked.threshold, asked.diversity) == ("meaning", 4, 0.3, 0.5)
    assert (asked.what, asked.outcome, asked.task) == ("tasks", "successes", task("test/3"))


async def test_at_random_every_task_draws_its_own_and_the_same_again(memory: Memories) -> None:
    for name in ("test/3", "test/4", "test/3"):
        await run(memory, name, recall="random")
    first, other, again = (asked.seed for asked in memory.asked[-3:])
    assert first == again != other


async def test_a_tenant_sees_its_own(memory: Memories) -> None:
    others = str(uuid4())
    ended = await run(memory, "test/3", tenant=others)
    assert ended["recollections"] == []
    assert [each.tenant for each in await memory.all(others)] == [others]


async def test_ones_own_judge_has_the_last_word(memory: Memories) -> None:
    def judge(task: Task, messages: Sequence[AnyMessage], verdict: Verdict) -> Verdict:
        return Verdict(success=None, feedback="Ask me tomorrow.", source="human")

    graph = exemplar.build(
        agent=always("look"), judge=judge, recall_from=memory, record_to=memory
    ).compile()
    mine = Context(tenant=memory.tenant)
    ended = await graph.ainvoke({"task": task("train/5")}, context=mine)
    assert (ended["outcome"], ended["verdict"].feedback) == ("unjudged", "Ask me tomorrow.")
    latest = (await memory.all())[-1]
    assert (latest.id, latest.verdict.success) == (ended["attempts"][0].id, None)


async def test_a_person_is_asked_before_the_attempt_is_remembered(
    memory: Memories, offer: Offer, workspace: Workspace
) -> None:
    offer("chat/letters", {"id": "r", "request": "Apologise.", "rubric": ["Is sorry."]})
    graph = exemplar.build(
        workspace=workspace,
        agent=lambda _: "We are sorry.",
        recall_from=memory,
        record_to=memory,
    ).compile(checkpointer=InMemorySaver())
    thread: RunnableConfig = {"configurable": {"thread_id": "one"}}
    mine = Context(tenant=memory.tenant, judge="person")
    given: ExemplarInput = {"task": workspace.environment("chat/letters").task("r")}
    waiting = await graph.ainvoke(given, thread, context=mine)
    assert waiting["__interrupt__"][0].value["transcript"][1]["text"] == "We are sorry."
    assert len(await memory.all()) == 3
    ended = await graph.ainvoke(Command(resume=True), thread, context=mine)
    assert ended["outcome"] == "solved"
    assert (await memory.all())[-1].verdict.source == "human"


async def test_it_is_a_part_of_ones_own_graph(memory: Memories) -> None:
    inner = exemplar.build(agent=expert_agent, recall_from=memory, record_to=memory).compile(
        name="exemplar"
    )
    outer = StateGraph(ExemplarOutput, Context, input_schema=ExemplarInput)
    graph = outer.add_node("learn", inner).add_edge(START, "learn").compile()
    ended = await graph.ainvoke(
        {"task": task("test/3")}, context=Context(exemplars=2, tenant=memory.tenant)
    )
    assert len(ended["recollections"]) == 2
    assert ended["verdict"].success is not None


async def test_what_the_caller_shows_comes_first(memory: Memories) -> None:
    graph = exemplar.build(agent=expert_agent, recall_from=memory, record_to=memory).compile()
    given: ExemplarInput = {"task": task("test/3"), "shown": Shown(exemplars=["Mine."])}
    ended = await graph.ainvoke(given, context=Context(tenant=memory.tenant))
    assert f"{EXEMPLARS}\nMine.\n{ended['recollections'][0].text}" in system(ended["attempts"][0])


async def test_a_second_run_on_a_thread_starts_clean(memory: Memories) -> None:
    graph = exemplar.build(
        agent=always("look"), planner=always("A plan."), recall_from=memory, record_to=memory
    ).compile(checkpointer=InMemorySaver())
    thread: RunnableConfig = {"configurable": {"thread_id": "one"}}
    first = await graph.ainvoke(
        {"task": task("test/3")}, thread, context=Context(adapt=True, tenant=memory.tenant)
    )
    second = await graph.ainvoke(
        {"task": task("test/4")}, thread, context=Context(exemplars=0, tenant=memory.tenant)
    )
    assert first["plan"] == "A plan."
    assert (second["plan"], second["recollections"], len(second["attempts"])) == ("", [], 1)
    assert system(second["attempts"][0]) == environment(NORTH).instructions


async def test_progress_is_streamed(memory: Memories) -> None:
    graph = exemplar.build(
        agent=always("look"), planner=always("A plan."), recall_from=memory, record_to=memory
    ).compile()
    told: list[Any] = [
        event
        async for event in graph.astream(
            {"task": task("test/3")},
            context=Context(adapt=True, exemplars=1, tenant=memory.tenant),
            stream_mode="custom",
        )
    ]
    assert [event["type"].removeprefix("exemplar.") for event in told] == [
        "recalled",
        "adapted",
        "attempt",
        "recorded",
    ]
    assert [each["success"] for each in told[0]["recollections"]] == [True]
    assert told[2]["success"] is False
    assert told[3]["trajectories"] == [(await memory.all())[-1].id]


def test_the_steps_have_their_names() -> None:
    assert set(exemplar.graph.get_graph().nodes) - {"__start__", "__end__"} == {
        "recall",
        "adapt",
        "attempt",
        "judge",
        "record",
    }


class TestExemplarSet:
    """Examples that a person chose, by the name of a set."""

    @pytest.fixture
    def sets(self, tmp_path: Path) -> Path:
        folder = tmp_path / "data" / "exemplars"
        folder.mkdir(parents=True)
        return folder

    @staticmethod
    def line(name: str, said: str, **more: Any) -> str:
        where = more.pop("environment", NORTH)
        talk = [
            {"role": "user", "content": f"Your task is {name}."},
            {"role": "assistant", "content": said},
        ]
        given = {"id": name, "environment": where, **more.pop("task", {})}
        return json.dumps({"task": given, "messages": talk, **more})

    async def test_a_set_is_shown_in_its_own_order(self, sets: Path, workspace: Workspace) -> None:
        lines = [self.line("train/1", "first"), self.line("train/2", "second"), ""]
        (sets / "mine.jsonl").write_text("\n".join(lines))
        ended = await run(
            Memories(workspace), "test/3", recall="fixed", exemplar_set="mine", exemplars=5
        )
        shown = "Your task is train/1.\n> first\nYour task is train/2.\n> second"
        assert system(ended["attempts"][0]).endswith(f"{EXEMPLARS}\n{shown}")
        one = await run(
            Memories(workspace), "test/3", recall="fixed", exemplar_set="mine", exemplars=1
        )
        assert [each.task.id for each in one["recollections"]] == ["train/1"]

    async def test_what_must_not_be_shown_is_not(self, sets: Path, workspace: Workspace) -> None:
        lines = [
            self.line("train/9", "the task itself"),
            self.line("test/5", "held out", task={"split": "test"}),
            self.line("train/4", "elsewhere", environment="household/south/small"),
            self.line("train/5", "failed", verdict={"success": False}),
            self.line("train/6", "good"),
        ]
        (sets / "mine.jsonl").write_text("\n".join(lines))
        fixed = {"recall": "fixed", "exemplar_set": "mine", "exemplars": 5}
        ended = await run(Memories(workspace), "train/9", **fixed, failures=5)
        assert [(each.task.id, each.success) for each in ended["recollections"]] == [
            ("train/6", True),
            ("train/5", False),
        ]

    async def test_recorded_attempts_are_such_lines(
        self, sets: Path, memory: Memories, workspace: Workspace
    ) -> None:
        kept = await memory.all()
        (sets / "mine.jsonl").write_text("\n".join(each.model_dump_json() for each in kept))
        ended = await run(
            Memories(workspace), "test/3", recall="fixed", exemplar_set="mine", exemplars=1
        )
        assert ended["recollections"][0].text == transcript(kept[0].messages)
        assert ended["attempts"][0].in_view.exemplars == (kept[0].id,)

    async def test_a_name_is_no_path(self, sets: Path, workspace: Workspace) -> None:
        (sets / "mine.jsonl").write_text(self.line("train/1", "first"))
        with pytest.raises(UnknownName, match="Did you mean 'mine'"):
            await run(Memories(workspace), "test/3", recall="fixed", exemplar_set="../mine")

    async def test_a_line_that_cannot_be_read_is_named(
        self, sets: Path, workspace: Workspace
    ) -> None:
        (sets / "mine.jsonl").write_text(f"{self.line('train/1', 'first')}\n{{}}\n")
        with pytest.raises(BrokenData, match="Line 2 of the exemplars 'mine'"):
            await run(Memories(workspace), "test/3", **MINE)


@pytest.mark.parametrize(
    ("given", "settings", "says"),
    [
        ({}, {}, "No task was given"),
        ({"task": {"environment": "nowhere", "id": "x"}}, {}, "Unknown environment 'nowhere'"),
        ({"task": {"environment": NORTH, "id": "test/1"}, "run": "a\nb"}, {}, "'run' cannot"),
        ({}, {"exemplars": 21}, "'exemplars' is 21, but must lie between 0 and 20"),
        ({}, {"recall": "hybird"}, "Did you mean 'hybrid'"),
    ],
)
async def test_bad_input_is_a_sentence(given: Any, settings: Any, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        await (
            exemplar.build(recall_from=Memories(), record_to=Memories())
            .compile()
            .ainvoke(given, context=Context(**settings))
        )


async def test_reflexion_still_shows_its_own(easy: Task) -> None:
    graph = reflexion.build(agent=always("look"), reflector=always("Look up.")).compile()
    ended = await graph.ainvoke({"task": easy}, context=Context(max_trials=2))
    views = [attempt.in_view for attempt in ended["attempts"]]
    assert [view.exemplars for view in views] == [(), ()]
    assert [[r.text for r in view.reflections] for view in views] == [[], ["Look up."]]
