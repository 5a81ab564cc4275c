"""A row holds a whole attempt. An import reads a row, or refuses it with a reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import tool_call

from apprentice.memory.exchange.rows import read_row, write_row
from apprentice.state.errors import ApprenticeError, BadInput
from apprentice.state.experience import DatedVerdict, StoredAttempt
from apprentice.state.trajectory import InView, Reflection, Task, Trajectory, Usage, Verdict

ASKED = {"role": "user", "content": "Which river flows through Vienna?"}
ANSWERED = {"role": "assistant", "content": "The Danube."}
TALK = [ASKED, ANSWERED]

CUT = "\ud83d"  # the first half of an emoji
NAN, INFINITY = float("nan"), float("inf")

TEXTS = st.text(max_size=12)
NAMES = st.text(min_size=1, max_size=12, alphabet="ab .:/é-1")
MESSAGES = st.one_of(
    st.builds(HumanMessage, TEXTS, id=st.none() | NAMES),
    st.builds(SystemMessage, TEXTS),
    st.builds(
        AIMessage,
        TEXTS,
        additional_kwargs=st.dictionaries(NAMES, TEXTS, max_size=2),
        tool_calls=st.lists(
            st.builds(
                tool_call,
                name=NAMES,
                args=st.dictionaries(NAMES, TEXTS | st.integers(-(2**63), 2**63 - 1), max_size=2),
                id=NAMES,
            ),
            max_size=2,
        ),
    ),
    st.builds(ToolMessage, TEXTS, tool_call_id=NAMES, status=st.sampled_from(["success", "error"])),
)
VERDICTS = st.builds(
    Verdict,
    success=st.none() | st.booleans(),
    score=st.none() | st.floats(0, 1),
    feedback=TEXTS,
    source=st.sampled_from(["environment", "model", "human", "late"]),
)


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def given_at(at: float) -> dict[str, Any]:
    return {"verdict": {"success": True}, "at": at}


@st.composite
def remembered(draw: st.DrawFn) -> StoredAttempt:
    history = tuple(
        DatedVerdict(verdict=each, at=at)
        for at, each in enumerate(draw(st.lists(VERDICTS, max_size=3)))
    )
    return StoredAttempt(
        trajectory=Trajectory(
            id=draw(NAMES),
            tenant="team",
            task=Task(
                id=draw(NAMES),
                environment=draw(NAMES),
                instruction=draw(st.text(min_size=1, max_size=12)),
                kind=draw(TEXTS),
                split=draw(st.sampled_from(["train", "test"])),
                metadata=draw(st.dictionaries(NAMES, TEXTS | st.lists(TEXTS), max_size=2)),
            ),
            messages=tuple(draw(st.lists(MESSAGES, min_size=1, max_size=4))),
            verdict=history[-1].verdict if history else draw(VERDICTS),
            in_view=InView(rules=("r1",), reflections=(Reflection(text="Look.", trial=1),)),
            model="local:novice",
            usage=Usage(calls=2, seconds=0.5),
            run=draw(TEXTS),
            trial=draw(st.integers(1, 9)),
            ended_at=draw(st.none() | st.floats(0, 2e9)),
        ),
        verdicts=history,
    )


@settings(deadline=None)
@given(remembered())
def test_a_written_row_is_read_back_unchanged(kept: StoredAttempt) -> None:
    written = json.loads(json.dumps(write_row(kept)))
    read = read_row(written, "team")
    assert read.trajectory == kept.trajectory
    assert (read.verdicts, read.extra_columns) == (kept.verdicts, ())


def test_messages_and_an_outcome_are_enough() -> None:
    read = read_row({"messages": TALK, "success": True, "label": 3, "note": None}, "team", "maps")
    attempt = read.trajectory
    assert attempt.task == Task(
        id=attempt.task.id,
        environment="maps",
        instruction="Which river flows through Vienna?",
        metadata={"label": 3},
    )
    assert attempt.verdict == Verdict(success=True)
    assert read.extra_columns == ("label",)
    again = read_row({"conversations": TALK, "success": None, "label": 3}, "team", "maps")
    assert again.trajectory.id == attempt.id
    assert again.trajectory.verdict == Verdict()
    assert read_row({"messages": TALK}, "team").trajectory.task.environment == "imported"


def test_rows_with_the_same_question_have_the_same_task() -> None:
    other = [ASKED, {"role": "assistant", "content": "The Rhine."}]
    first, second = (read_row({"messages": each}, "team").trajectory for each in (TALK, other))
    assert first.task.id == second.task.id
    assert first.id != second.id


def test_the_tenant_is_that_of_the_import() -> None:
    kept = read_row({"messages": TALK, "id": "x"}, "other").trajectory
    row = write_row(StoredAttempt(trajectory=kept, verdicts=()))
    assert read_row(row, "team").trajectory.tenant == "team"
    forged = read_row({**row, "tenant": "other"}, "team")
    assert forged.trajectory.tenant == "team"
    assert forged.extra_columns == ("tenant",)


def test_messages_are_written_in_openais_form() -> None:
    calls = [tool_call(name="weather", args={"city": "Oslo"}, id="c1")]
    attempt = read_row({"messages": [HumanMessage("Oslo?"), AIMessage("", tool_calls=calls)]}, "t")
    assert write_row(StoredAttempt(trajectory=attempt.trajectory, verdicts=()))["messages"] == [
        {"role": "user", "content": "Oslo?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
                }
            ],
        },
    ]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ([], "A row is an object"),
        ({}, "no messages"),
        ({"messages": TALK, "conversation": TALK}, "messages and conversation"),
        ({"messages": []}, "is empty"),
        ({"messages": [{"role": "robot", "content": ""}]}, "role of message 1 'robot'"),
        ({"messages": TALK, "success": "perhaps"}, "column 'success' cannot be read"),
        ({"messages": TALK, "score": 3}, "column 'score' cannot be read"),
        ({"messages": TALK, "score": float("nan")}, "column 'score' cannot be read"),
        ({"messages": TALK, "split": "Test 1"}, "column 'split' cannot be read"),
        ({"messages": TALK, "schema_version": 9}, "schema version 9"),
        ({"messages": TALK, "notes": "x" * 2_000_000}, "at most 2,000,000 are stored"),
        ({"messages": [("user", "x" * 2_000_001)]}, "length of the transcript"),
        ({"messages": TALK, "note": CUT}, "half a character"),
        ({"messages": TALK, CUT: 1}, "half a character"),
        ({"messages": TALK, "metadata": {"said": [CUT]}}, "half a character"),
        (
            {"messages": [("user", CUT)]},
            "Message 1 cannot be stored: '\\ud83d' is half a character",
        ),
        ({"messages": [{**ASKED, "note": CUT}]}, "Message 1 cannot be stored"),
        ({"messages": [ASKED, HumanMessage("", id=CUT)]}, "Message 2 cannot be stored"),
        ({"messages": TALK, "metadata": nested(400)}, "more than 100 levels deep"),
        ({"messages": TALK, "metadata": nested(150)}, "more than 100 levels deep"),
        ({"messages": TALK, "metadata": nested(10_000)}, "more than 100 levels deep"),
        ({"messages": [{**ASKED, "note": nested(150)}]}, "more than 100 levels deep"),
        ({"messages": [AIMessage("", additional_kwargs={"x": object()})]}, "written as JSON"),
        ({"messages": TALK, "ticket": 2**63}, "does not fit into 64 bits"),
        ({"messages": TALK, "picture": object()}, "cannot be written as JSON"),
        ({"messages": TALK, "usage": {"seconds": NAN}}, "column 'usage.seconds' cannot be read"),
        ({"messages": TALK, "ended_at": NAN}, "column 'ended_at' cannot be read: nan is no Unix"),
        ({"messages": TALK, "ended_at": INFINITY}, "inf is no Unix time in seconds"),
        ({"messages": TALK, "ended_at": 1.7e12}, "Divide milliseconds by 1,000."),
        ({"messages": TALK, "ended_at": -1}, "-1 is no Unix time"),
        ({"messages": TALK, "verdicts": [given_at(NAN)]}, "column 'verdicts.0.at' cannot be read"),
        ({"messages": TALK, "verdicts": [given_at(1), given_at(1.7e18)]}, "column 'verdicts.1.at'"),
        ({"messages": TALK, "trial": 10**10}, "column 'trial' cannot be read"),
    ],
)
def test_an_unreadable_row_is_refused_with_a_reason(row: Any, says: str) -> None:
    with pytest.raises(BadInput) as raised:
        read_row(row, "team")
    assert says in str(raised.value)
    assert str(raised.value).endswith(".")


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | TEXTS | st.just(CUT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
COLUMNS = [
    "id",
    "environment",
    "task",
    "instruction",
    "kind",
    "split",
    "metadata",
    "success",
    "score",
    "feedback",
    "source",
    "verdicts",
    "run",
    "trial",
    "in_view",
    "model",
    "adapter",
    "usage",
    "ended_at",
    "schema_version",
    "model_extra",
    "other",
]


@given(st.dictionaries(st.sampled_from(COLUMNS), JSON, max_size=5), JSON)
def test_any_row_is_imported_or_refused(row: dict[str, Any], note: Any) -> None:
    try:
        read = read_row({"messages": [{**ASKED, "note": note}, ANSWERED], **row}, "team")
    except ApprenticeError:
        return
    assert read.trajectory.messages[0].text == ASKED["content"]
    assert Trajectory.model_validate_json(read.trajectory.model_dump_json()) == read.trajectory
    again = write_row(StoredAttempt(trajectory=read.trajectory, verdicts=read.verdicts))
    assert read_row(json.loads(json.dumps(again)), "team").trajectory == read.trajectory


def test_a_call_with_half_a_character_becomes_an_invalid_call() -> None:
    call = {"id": "c", "function": {"name": "say", "arguments": json.dumps({"text": CUT})}}
    said = {"role": "assistant", "content": "", "tool_calls": [call]}
    (message,) = read_row({"messages": [said]}, "team").trajectory.messages
    assert isinstance(message, AIMessage)
    assert message.invalid_tool_calls[0]["args"] == '{"text": "\\ud83d"}'
