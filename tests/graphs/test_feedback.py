"""Attempts from elsewhere, and verdicts that come later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

from apprentice.graphs import feedback, reflexion
from apprentice.memory.experience import Experience
from apprentice.state.context import Context
from apprentice.state.errors import BadInput, OutOfBounds, UnknownName
from apprentice.state.experience import Query
from apprentice.state.trajectory import Task, Verdict
from tests.memories import shared

words = shared().experience

OPENAI = [
    {"role": "system", "content": "You help customers."},
    {"role": "user", "content": "My parcel is lost."},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "track", "arguments": '{"parcel": 7}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "Left at a neighbour."},
    {"role": "assistant", "content": "It is with your neighbour."},
]
PLAIN = [
    {"role": "user", "content": "My parcel is lost."},
    {"role": "assistant", "content": "Sorry."},
]
LANGCHAIN = [HumanMessage("My parcel is lost."), AIMessage("Wait a day.")]
SOLVED = {"success": True, "score": 0.9}

Send = Callable[..., Any]


@pytest.fixture
def tenant() -> str:
    return str(uuid4())


@pytest.fixture
async def memory(tenant: str) -> Experience:
    return await words(tenant)


@pytest.fixture
def send(tenant: str) -> Send:
    """Run the graph over the real engine."""
    graph = feedback.build(record_to=words).compile(checkpointer=InMemorySaver())

    async def run(tenant: str = tenant, thread: str = "1", **given: Any) -> Any:
        config: Any = {"configurable": {"thread_id": thread}}
        asked: Any = given
        return await graph.ainvoke(asked, config, context=Context(tenant=tenant))

    return run


@pytest.mark.parametrize("messages", [OPENAI, PLAIN, LANGCHAIN])
async def test_a_transcript_of_any_form_is_kept_and_recalled(
    send: Send, messages: Any, memory: Experience
) -> None:
    ended = await send(messages=messages, verdict=SOLVED, model="helpdesk-7")
    assert ended["effect"] == "recorded"
    kept = await memory.get(ended["id"])
    assert kept is not None
    assert kept.trajectory.verdict == Verdict(success=True, score=0.9, source="late")
    assert kept.trajectory.model == "helpdesk-7"
    assert kept.trajectory.task.instruction == "My parcel is lost."
    similar = Task(id="new", environment="elsewhere", instruction="The parcel is lost again.")
    (found,) = await memory.recall(Query(task=similar))
    assert found.trajectory == ended["id"]
    assert "My parcel is lost." in found.text
    # The same question is the same task, and is never shown its own answer.
    assert await memory.recall(Query(task=kept.trajectory.task)) == []


async def test_sending_again_changes_nothing(send: Send, memory: Experience) -> None:
    first = await send(messages=PLAIN, verdict=SOLVED)
    again = await send(messages=PLAIN, verdict=SOLVED, thread="2")
    assert (again["id"], again["effect"]) == (first["id"], "unchanged")
    assert (await send(messages=PLAIN, thread="3"))["effect"] == "known"
    assert [each.trajectory.id async for each in memory.browse()] == [first["id"]]
    kept = await memory.get(first["id"])
    assert kept is not None
    assert len(kept.verdicts) == 1


async def test_a_verdict_may_come_hours_later(send: Send, memory: Experience) -> None:
    sent = await send(messages=PLAIN)
    assert sent["latest"] == Verdict()
    judged = await send(trajectory=sent["id"], verdict={"success": False, "feedback": "Rude."})
    assert (judged["effect"], judged["latest"].source) == ("judged", "late")
    again = await send(trajectory=sent["id"], verdict={"success": False, "feedback": "Rude."})
    assert again["effect"] == "unchanged"
    # What a later verdict leaves out stays as it was.
    scored = await send(trajectory=sent["id"], verdict={"score": 0.25, "source": "human"})
    assert scored["latest"] == Verdict(success=False, score=0.25, feedback="Rude.", source="human")
    turned = await send(messages=PLAIN, verdict={"success": True}, thread="2")
    assert (turned["id"], turned["effect"]) == (sent["id"], "judged")
    kept = await memory.get(sent["id"])
    assert kept is not None
    assert [judged.verdict.success for judged in kept.verdicts] == [False, False, True]
    assert kept.trajectory.verdict.feedback == ""


async def test_another_attempt_under_a_known_id_is_refused(send: Send, memory: Experience) -> None:
    task = {"environment": "helpdesk", "id": "ticket-9"}
    await send(messages=PLAIN, trajectory="call-17", task=task, verdict=SOLVED)
    with pytest.raises(BadInput, match="'call-17' is stored already, with other messages"):
        await send(messages=LANGCHAIN, trajectory="call-17", task=task, verdict={"success": False})
    other = {**task, "id": "ticket-10"}
    with pytest.raises(BadInput, match="'call-17' is stored already, with another task"):
        await send(messages=PLAIN, trajectory="call-17", task=other, verdict={"success": False})
    kept = await memory.get("call-17")
    assert kept is not None
    assert [judged.verdict.success for judged in kept.verdicts] == [True]
    # The same one again changes nothing, whether or not it names its task, and in whatever form.
    drawn = [{**each, "id": f"run-{number}"} for number, each in enumerate(PLAIN)]
    assert (await send(messages=drawn, trajectory="call-17"))["effect"] == "known"
    judged = await send(messages=PLAIN, trajectory="call-17", task=task, verdict={"success": False})
    assert judged["effect"] == "judged"


@pytest.mark.parametrize("checkpoints", [True, False])
async def test_what_no_memory_can_hold_is_refused(
    send: Send, tenant: str, memory: Experience, checkpoints: bool
) -> None:
    deep: Any = "x"
    for _ in range(400):
        deep = [deep]
    graph, context = feedback.build(record_to=words).compile(), Context(tenant=tenant)
    cut = {"role": "user", "content": "Thanks \ud83d"}
    for message in (cut, {**PLAIN[0], "note": "\ud83d"}, {**PLAIN[0], "note": deep}):
        given: Any = {"messages": [message, PLAIN[1]], "verdict": SOLVED}
        sending = send(**given) if checkpoints else graph.ainvoke(given, context=context)
        with pytest.raises(BadInput, match="Message 1 cannot be stored"):
            await sending
    assert [each async for each in memory.browse()] == []


async def test_a_late_verdict_decides_whether_a_task_is_solved(tenant: str) -> None:
    task = Task(environment="household/north/small", id="train/3")
    store, context = InMemoryStore(), Context(tenant=tenant, max_trials=1)
    went = Verdict(success=True, source="model")
    attempt = reflexion.build(
        agent=lambda messages: "look", judge=lambda task, messages, verdict: went, record_to=words
    ).compile(store=store)
    judge = feedback.build(record_to=words).compile(store=store)

    async def outcome(run: str) -> str:
        ended = await attempt.ainvoke({"task": task, "run": run}, context=context)
        done.extend(each.id for each in ended["attempts"])
        return str(ended["outcome"])

    async def judged(trajectory: str, success: bool) -> None:
        given: Any = {"trajectory": trajectory, "verdict": {"success": success}}
        await judge.ainvoke(given, context=context)

    done: list[str] = []
    assert await outcome("a") == "solved"
    assert await outcome("b") == "solved_before"
    await judged(done[0], False)
    assert await outcome("c") == "solved"  # it was attempted again
    await judged(done[0], False)  # which says nothing of the other attempt
    assert await outcome("d") == "solved_before"
    await judged(done[1], False)
    went = Verdict(success=False, source="model")
    assert await outcome("e") == "failed"
    await judged(done[2], True)
    assert await outcome("f") == "solved_before"


async def test_a_thread_passes_nothing_on_to_the_next_run(send: Send) -> None:
    first = await send(messages=PLAIN, verdict=SOLVED)
    with pytest.raises(BadInput, match="There is nothing to record"):
        await send()
    second = await send(messages=LANGCHAIN)
    assert second["id"] != first["id"]
    assert second["latest"] == Verdict()


async def test_the_senders_id_and_task_are_kept(send: Send, memory: Experience) -> None:
    task = {"environment": "helpdesk", "id": "ticket-9", "kind": "parcel", "split": "holdout"}
    sent = await send(messages=PLAIN, trajectory="call-17", task=task, verdict=SOLVED)
    assert sent["id"] == "call-17"
    kept = await memory.get("call-17")
    assert kept is not None
    assert kept.trajectory.task == Task(instruction="My parcel is lost.", **task)
    new = Task(id="new", environment="helpdesk", instruction="My parcel is lost.")
    assert await memory.recall(Query(task=new)) == []  # it was sent as held out


async def test_a_held_out_task_cannot_be_passed_off_as_training(
    send: Send, memory: Experience
) -> None:
    task = {"environment": "household/north/small", "id": "test/6", "split": "train"}
    sent = await send(messages=PLAIN, task=task, verdict=SOLVED)
    kept = await memory.get(sent["id"])
    assert kept is not None
    assert kept.trajectory.task.split == "test"
    new = Task(id="train/1", environment="household/north/small", instruction="My parcel is lost.")
    assert await memory.recall(Query(task=new)) == []


async def test_tenants_cannot_reach_each_other(send: Send, memory: Experience) -> None:
    rival = str(uuid4())
    sent = await send(messages=PLAIN, trajectory="shared-name")
    with pytest.raises(BadInput, match="No trajectory 'shared-name' is stored"):
        await send(rival, trajectory="shared-name", verdict=SOLVED)
    theirs = await send(rival, messages=LANGCHAIN, trajectory="shared-name")
    assert theirs["effect"] == "recorded"
    kept = await memory.get(sent["id"])
    assert kept is not None
    assert kept.trajectory.messages[1].text == "Sorry."


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({}, BadInput, "There is nothing to record"),
        ({"trajectory": "x"}, BadInput, "There is nothing to record"),
        ({"trajectory": "x", "verdict": SOLVED}, BadInput, "No trajectory 'x' is stored"),
        ({"messages": []}, BadInput, "list of messages is empty"),
        ({"messages": "hello"}, BadInput, "must be a list"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, UnknownName, "role of message 1"),
        ({"messages": PLAIN * 1_001}, OutOfBounds, "number of messages is 2002"),
        (
            {"messages": [{"role": "user", "content": "x" * 2_000_001}]},
            OutOfBounds,
            "length of the transcript",
        ),
        ({"messages": PLAIN, "verdict": {"score": 2}}, BadInput, "'verdict.score' cannot be read"),
        ({"messages": PLAIN, "task": {"path": "/etc"}}, BadInput, "'task.path' cannot be read"),
        (
            {"messages": PLAIN, "task": {"environment": "household/north/small"}},
            BadInput,
            "has no id",
        ),
        (
            {"messages": PLAIN, "task": {"environment": "household/nowhere", "id": "x"}},
            BadInput,
            "nowhere",
        ),
        ({"messages": PLAIN, "trajectory": "a\nb"}, BadInput, "'trajectory' cannot be read"),
        ({"messages": PLAIN, "model": "x" * 201}, BadInput, "'model' cannot be read"),
    ],
)
async def test_bad_input_is_a_sentence(
    send: Send, given: Any, error: type[Exception], says: str, memory: Experience
) -> None:
    with pytest.raises(error, match=says):
        await send(**given)
    assert [each async for each in memory.browse()] == []
