"""Open tasks: judged by a model, by a person, later, or by the caller's own judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from apprentice.environments.registry import Environments
from apprentice.graphs import episode, reflexion
from apprentice.settings import Settings
from apprentice.state.context import Context
from apprentice.state.errors import MissingPart, ModelFailure, ModelUnavailable
from apprentice.state.trajectory import Task, Verdict, text_of
from apprentice.testing import Scripted
from apprentice.workspace import Workspace
from tests.conftest import Offer

RUBRIC = ["Is sorry.", "Names the date."]
GOOD = {
    "criteria": [{"number": 1, "met": True}, {"number": 2, "met": True}],
    "success": True,
}
BAD = {
    "criteria": [{"number": 1, "met": True}, {"number": 2, "met": False}],
    "success": False,
}
THREAD: Any = {"configurable": {"thread_id": "1"}}


@pytest.fixture
def offered(tmp_path: Path) -> Path:
    return tmp_path / "tasks"


@pytest.fixture
def task(offer: Offer, offered: Path) -> Task:
    offer("chat/letters", {"id": "r", "request": "Apologise.", "rubric": RUBRIC})
    offer("chat/free", {"id": "f", "request": "Say something."})
    return Environments(offered).get("chat/letters").task("r")


class Court:
    """A workspace in which scripted models are in the place of every named one.

    Attributes:
        turns: by the model's name without its provider.
        asked: what was asked for.
    """

    def __init__(self, tasks: Path) -> None:
        self.turns: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.workspace = Workspace(
            tasks.parent / "data",
            model="local:novice",
            settings=Settings(tasks=tasks),
            chat_models=self.chat,
        )

    def chat(self, name: str, **settings: Any) -> BaseChatModel:
        self.asked.append((name, settings))
        if (script := name.partition(":")[2]) in self.turns:
            return Scripted(self.turns[script])
        return self.workspace.models.chat(name, **settings)

    def episode(self, agent: Any = None, own: Any = None, **options: Any) -> Any:
        return episode.build(workspace=self.workspace, agent=agent, judge=own, **options)


@pytest.fixture
def court(offered: Path) -> Court:
    return Court(offered)


def writer(messages: list[AnyMessage]) -> str:
    return "We are sorry." if len(messages) == 2 else "We are sorry for the 3rd of May."


async def run(
    court: Court, task: Task, agent: Any = writer, own: Any = None, **settings: Any
) -> Any:
    graph = court.episode(agent, own).compile()
    return await graph.ainvoke({"task": task}, context=Context(**settings))


async def test_a_model_judges_by_the_rubric(task: Task, court: Court) -> None:
    court.turns = {"novice": [json.dumps(BAD)]}
    ended = await run(court, task)
    assert ended["verdict"] == Verdict(
        success=False, score=0.5, feedback="Not met: Names the date.", source="model"
    )
    assert court.asked[0][1]["max_tokens"] == 1024
    said = [text_of(message) for message in ended["messages"][1:]]
    assert said == ["Apologise.", "We are sorry.", "Received."]


async def test_the_judge_is_a_model_of_its_own(task: Task, court: Court) -> None:
    court.turns = {"author": ["We are sorry."], "critic": [json.dumps(GOOD)]}
    models = {"model": "openai:author", "judge_model": "openai:critic"}
    ended = await run(court, task, None, temperature=1.0, **models)
    assert ended["verdict"].success
    asked = [(name, settings["temperature"]) for name, settings in court.asked]
    assert asked == [("openai:author", 1.0), ("openai:critic", 0.0)]


async def test_an_adapter_is_not_its_own_judge(task: Task, court: Court) -> None:
    court.turns = {"novice": [json.dumps(GOOD)]}
    await run(court, task, adapter="candidate")
    assert [settings["adapter"] for _, settings in court.asked] == [""]


@pytest.mark.parametrize(
    ("turn", "why"),
    [
        ("Well done!", "holds no judgement"),
        (json.dumps({**GOOD, "success": False}), "contradicts itself"),
    ],
)
async def test_a_judgement_that_is_none_is_unknown(
    task: Task, court: Court, turn: str, why: str
) -> None:
    court.turns = {"novice": [turn]}
    verdict = (await run(court, task))["verdict"]
    assert (verdict.success, verdict.score, verdict.source) == (None, None, "model")
    assert why in verdict.feedback


@pytest.mark.parametrize(
    "failure", [ModelFailure("It is full."), ModelUnavailable("It is away."), ZeroDivisionError()]
)
async def test_a_judge_that_crashes_leaves_the_verdict_unknown(
    task: Task, court: Court, failure: Exception
) -> None:
    calls = []

    def judge(*given: Any) -> Verdict:
        calls.append(given)
        raise failure

    ended = await run(court, task, own=judge)
    assert ended["verdict"].success is None
    assert ended["verdict"].feedback.startswith(f"The judge failed ({type(failure).__name__}: ")
    assert len(calls) == (3 if isinstance(failure, ModelUnavailable) else 1)


async def test_a_judge_that_cannot_be_is_a_mistake_and_no_verdict(task: Task, court: Court) -> None:
    with pytest.raises(MissingPart, match="OPENAI_API_KEY"):
        await run(court, task, judge_model="openai:gpt-5-mini")


@pytest.mark.parametrize("judge", ["model", "later"])
async def test_what_nobody_judges_stays_unjudged(task: Task, court: Court, judge: str) -> None:
    other = court.workspace.environment("chat/free").task("f") if judge == "model" else task
    ended = await run(court, other, judge=judge)
    assert ended["verdict"] == Verdict(success=None, feedback="Nobody has judged this answer yet.")


async def test_a_task_with_a_verdict_is_left_alone(offer: Offer, court: Court) -> None:
    offer("qa/places", {"id": "c", "question": "Capital of Norway?", "answer": "Oslo"})
    ended = await run(
        court,
        court.workspace.environment("qa/places").task("c"),
        lambda _: "Answer: Oslo",
        judge="person",
    )
    assert ended["verdict"] == Verdict(success=True, score=1, feedback="The answer is right.")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (True, Verdict(success=True, source="human")),
        (
            {"success": False, "score": 0.25, "feedback": "No date."},
            Verdict(success=False, score=0.25, feedback="No date.", source="human"),
        ),
        ('{"success": null}', Verdict(success=None, source="human")),
    ],
)
async def test_a_person_judges(task: Task, court: Court, answer: Any, verdict: Verdict) -> None:
    graph = court.episode(writer, person=True).compile(checkpointer=InMemorySaver())
    context = Context(judge="person")
    waiting = await graph.ainvoke({"task": task}, THREAD, context=context)
    (question,) = waiting["__interrupt__"]
    assert question.value["rubric"] == RUBRIC
    assert question.value["transcript"][1] == {"by": "agent", "text": "We are sorry."}
    ended = await graph.ainvoke(Command(resume=answer), THREAD, context=context)
    assert ended["verdict"] == verdict


async def test_a_person_is_asked_until_the_answer_is_a_verdict(task: Task, court: Court) -> None:
    graph = court.episode(writer, person=True).compile(checkpointer=InMemorySaver())
    context = Context(judge="person")
    await graph.ainvoke({"task": task}, THREAD, context=context)
    for answer, why in (
        ("good", "cannot be read"),
        ({"score": 1}, "'success' cannot be read: Field required"),
        ({"success": True, "score": 0.0}, "Say which holds"),
        ({"success": True, "score": 7}, "'score' cannot be read"),
    ):
        waiting = await graph.ainvoke(Command(resume=answer), THREAD, context=context)
        assert why in waiting["__interrupt__"][0].value["refused"]
    ended = await graph.ainvoke(Command(resume=True), THREAD, context=context)
    assert ended["verdict"].success is True


async def test_reflexion_learns_from_a_person(task: Task, court: Court) -> None:
    turns = iter(["We are sorry.", "We are sorry for the 3rd of May."])
    told: list[str] = []

    def reflector(messages: list[AnyMessage]) -> str:
        told.append(text_of(messages[-1]))
        return "Next I name the date."

    graph = reflexion.build(
        workspace=court.workspace, agent=lambda _: next(turns), reflector=reflector
    ).compile(checkpointer=InMemorySaver())
    context = Context(judge="person", max_trials=3)
    waiting = await graph.ainvoke({"task": task, "run": "r"}, THREAD, context=context)
    assert waiting["__interrupt__"][0].value["transcript"][1]["text"] == "We are sorry."
    no = {"success": False, "feedback": "Which date?"}
    waiting = await graph.ainvoke(Command(resume=no), THREAD, context=context)
    assert "Feedback: Which date?" in told[0]
    assert "3rd of May" in waiting["__interrupt__"][0].value["transcript"][1]["text"]
    ended = await graph.ainvoke(Command(resume=True), THREAD, context=context)
    assert (ended["outcome"], ended["trials"]) == ("solved", 2)
    assert [attempt.verdict.success for attempt in ended["attempts"]] == [False, True]
    assert ended["attempts"][0].verdict.source == "human"


async def test_reflexion_does_not_wait_for_a_verdict_that_comes_later(
    task: Task, court: Court
) -> None:
    graph = reflexion.build(workspace=court.workspace, agent=writer).compile()
    ended = await graph.ainvoke({"task": task}, context=Context(judge="later"))
    assert (ended["outcome"], ended["trials"]) == ("unjudged", 1)


async def test_a_verdict_is_streamed(task: Task, court: Court) -> None:
    court.turns = {"novice": [json.dumps(GOOD)]}
    graph = court.episode(writer).compile()
    events = [event async for event in graph.astream({"task": task}, stream_mode="custom")]
    assert [event["type"] for event in events] == ["episode.step", "episode.verdict"]
    assert events[1]["success"] is True
