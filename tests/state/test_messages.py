"""Messages of every form become the same messages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.load import dumpd
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    AnyMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    convert_to_openai_messages,
    messages_to_dict,
)
from langchain_core.messages.tool import tool_call

from apprentice.state.errors import ApprenticeError, BadInput, OutOfBounds, UnknownName
from apprentice.state.messages import CHARACTER_LIMIT, MESSAGE_LIMIT, read_messages
from apprentice.state.submission import sent_id
from apprentice.state.trajectory import Task, Trajectory

TASK = Task(environment="helpdesk", id="t1")
WEATHER = [
    SystemMessage("You are brief."),
    HumanMessage("How is the weather in Oslo?"),
    AIMessage("", tool_calls=[tool_call(name="weather", args={"city": "Oslo"}, id="c1")]),
    ToolMessage("Rain.", tool_call_id="c1", name="weather"),
    AIMessage("It rains."),
]


def said(messages: tuple[AnyMessage, ...]) -> list[Any]:
    return [
        (
            message.type,
            message.content,
            [(call["name"], call["args"], call["id"]) for call in message.tool_calls]
            if isinstance(message, AIMessage)
            else getattr(message, "tool_call_id", None),
        )
        for message in messages
    ]


@pytest.mark.parametrize(
    "form",
    [
        WEATHER,
        tuple(WEATHER),
        convert_to_openai_messages(WEATHER),
        messages_to_dict(WEATHER),
        [dumpd(message) for message in WEATHER],
        [message.model_dump() for message in WEATHER],
        [message.model_dump(mode="json") for message in WEATHER],
        [
            {"from": "system", "value": "You are brief."},
            {"from": "human", "value": "How is the weather in Oslo?"},
            {
                "from": "gpt",
                "value": None,
                "tool_calls": [{"name": "weather", "arguments": {"city": "Oslo"}, "id": "c1"}],
            },
            {"from": "tool", "value": "Rain."},
            {"from": "gpt", "value": "It rains."},
        ],
        [
            ("developer", "You are brief."),
            ["user", "How is the weather in Oslo?"],
            {
                "role": "assistant",
                "content": None,
                "additional_kwargs": {
                    "tool_calls": [
                        {
                            "id": "c1",
                            "function": {"name": "weather", "arguments": "{'city': 'Oslo'}"},
                        }
                    ]
                },
            },
            {"role": "function", "name": "weather", "content": "Rain."},
            {"role": "model", "content": "It rains."},
        ],
    ],
    ids=["objects", "tuple", "openai", "dicts", "lc", "dump", "json", "sharegpt", "mixed"],
)
def test_every_form_says_the_same(form: Any) -> None:
    read = read_messages(form)
    assert said(read) == said(tuple(WEATHER))  # type: ignore[arg-type]
    assert sent_id("default", TASK, read_messages(json_of(read))) == sent_id("default", TASK, read)


def json_of(messages: tuple[AnyMessage, ...]) -> Any:
    return json.loads(json.dumps([message.model_dump(mode="json") for message in messages]))


def test_a_form_that_is_read_twice_is_the_same_attempt() -> None:
    openai = convert_to_openai_messages(WEATHER)
    drawn = [{**each, "id": f"run-{number}"} for number, each in enumerate(openai)]
    first = sent_id("default", TASK, read_messages(openai))
    assert sent_id("default", TASK, read_messages(drawn)) == first
    assert sent_id("other", TASK, read_messages(openai)) != first
    assert sent_id("default", TASK, read_messages(openai[:-1])) != first
    assert sent_id("default", TASK, read_messages(openai), "ticket-7") == "ticket-7"


def test_block_lists_and_what_stands_beside_are_kept() -> None:
    blocks = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    asked, answered = read_messages(
        [
            {"role": "user", "content": blocks},
            {"role": "assistant", "content": "A cat.", "reasoning_content": "Whiskers."},
        ]
    )
    assert asked.content == blocks
    assert asked.text == "What is this?"
    assert answered.additional_kwargs == {"reasoning_content": "Whiskers."}
    assert Trajectory(id="x", task=TASK, messages=(asked, answered)).messages[0].content == blocks


def test_a_refusal_is_what_was_said() -> None:
    (message,) = read_messages([{"role": "assistant", "content": None, "refusal": "I won't."}])
    assert message.text == "I won't."


def test_chunks_become_whole_messages() -> None:
    (message,) = read_messages([AIMessageChunk(content="Hello.")])
    assert type(message) is AIMessage


def test_results_without_an_id_answer_the_oldest_open_call() -> None:
    calls: list[Any] = [{"name": name, "arguments": None} for name in ("first", "second")]
    messages = read_messages(
        [
            {"role": "assistant", "tool_calls": calls},
            {"role": "tool", "content": {"found": 1}},
            {"role": "tool", "content": "two"},
            {"role": "tool", "content": "nobody asked"},
        ]
    )
    assert isinstance(messages[0], AIMessage)
    ids = [call["id"] for call in messages[0].tool_calls]
    assert [message.tool_call_id for message in messages if isinstance(message, ToolMessage)] == [
        *ids,
        "",
    ]
    assert messages[1].content == '{"found": 1}'


@pytest.mark.parametrize("arguments", ["{'city': Oslo}", "[1]", "__import__('os')", "[" * 100_000])
def test_a_call_that_cannot_be_read_is_kept_as_invalid(arguments: str) -> None:
    call = {"id": "c1", "function": {"name": "weather", "arguments": arguments}}
    (message,) = read_messages([{"role": "assistant", "tool_calls": [call]}])
    assert isinstance(message, AIMessage)
    assert message.tool_calls == []
    assert message.invalid_tool_calls[0]["args"] == arguments


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ("hello", BadInput, "are a text, but must be a list"),
        (None, BadInput, "are nothing, but must be a list"),
        ({"role": "user"}, BadInput, "are an object, but must be a list"),
        ([], BadInput, "is empty"),
        (["hello"], BadInput, "Message 1 is a text"),
        ([("user", "hi"), {"content": "x"}], BadInput, "Message 2 has no role"),
        ([("asistant", "hi")], UnknownName, "role of message 1 'asistant'. Did you mean 'assist"),
        ([{"type": "remove", "content": ""}], UnknownName, "role of message 1 'remove'"),
        ([("user", 7)], BadInput, "Message 1: 'content"),
        ([("user", "hi")] * (MESSAGE_LIMIT + 1), OutOfBounds, "number of messages is 2001"),
        ([("user", "x" * CHARACTER_LIMIT)], OutOfBounds, "length of the transcript"),
        ([{"role": "assistant", "tool_calls": 3}], BadInput, "'tool_calls' is a number"),
        ([{"role": "assistant", "tool_calls": "nonsense"}], BadInput, "'tool_calls' is nothing"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(given: Any, error: type[BadInput], says: str) -> None:
    with pytest.raises(error) as raised:
        read_messages(given)
    assert says in str(raised.value)
    assert str(raised.value).endswith(".")


KEYS = [
    "role",
    "type",
    "content",
    "data",
    "lc",
    "kwargs",
    "id",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "args",
    "from",
    "value",
    "additional_kwargs",
    "function_call",
    "invalid_tool_calls",
    "tool_call_id",
    "usage_metadata",
    "x",
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner | st.sampled_from(["user", "assistant", "tool", "{}"]),
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.lists(VALUES, max_size=4))
def test_whatever_comes_is_read_or_refused_with_a_sentence(given: list[Any]) -> None:
    try:
        read = read_messages(given)
    except ApprenticeError:
        return
    assert said(read_messages(json_of(read))) == said(read)
