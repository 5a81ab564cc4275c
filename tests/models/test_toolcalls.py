"""Tools reach the model, and its calls are parsed strictly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool

from apprentice.models.engine import close_all
from apprentice.models.local import LocalChatModel
from apprentice.models.toolcalls import as_chat, plain_turns
from apprentice.models.weights import Weights
from apprentice.state.prompts import TOOLS
from apprentice.state.toolcalls import parse
from tests.models import tiny
from tests.served import served

SCHEMA = {"name": "get_price", "parameters": {"type": "object", "properties": {}}}
TOOL = {"type": "function", "function": SCHEMA}
CALL = {"name": "get_price", "args": {"city": "Oslo"}, "id": "call_0", "type": "tool_call"}


@tool
def get_price(city: str) -> str:
    """Get a price."""
    return city


@pytest.mark.parametrize(
    ("text", "calls", "invalid", "rest"),
    [
        ("No call.", [], 0, "No call."),
        (
            '<think>A price.</think><tool_call>{"name": "get_price", "arguments": '
            '{"city": "Oslo"}}</tool_call>',
            [("get_price", {"city": "Oslo"})],
            0,
            "<think>A price.</think>",
        ),
        ('<tool_call>\n{"name": "a"}\n</tool_call> <tool_call>{"name": "b"}', ["a", "b"], 0, ""),
        ("<tool_call>get_price(Oslo)</tool_call>", [], 1, ""),
        ("<tool_call>{'name': 'a'}</tool_call>", [], 1, ""),
        ('<tool_call>["a"]</tool_call>', [], 1, ""),
        ('<tool_call>{"name": "a", "arguments": "Oslo"}</tool_call>', [], 1, ""),
        ('<tool_call>{"arguments": {}}</tool_call>', [], 1, ""),
    ],
)
def test_calls_are_read(text: str, calls: list[object], invalid: int, rest: str) -> None:
    message = parse(text)
    wanted = [(call, {}) if isinstance(call, str) else call for call in calls]
    assert [(call["name"], call["args"]) for call in message.tool_calls] == wanted
    assert len(message.invalid_tool_calls) == invalid
    assert message.content == rest


def test_a_template_without_tools_gets_them_as_text() -> None:
    chat = as_chat(
        [
            SystemMessage("Be brief."),
            HumanMessage("Price in Oslo?"),
            AIMessage("", tool_calls=[CALL]),
            ToolMessage("12", tool_call_id="call_0"),
        ]
    )
    system, _, call, result = plain_turns(chat, [TOOL])
    assert system["content"] == f"Be brief.\n\n{TOOLS}\n<tools>\n{json.dumps(SCHEMA)}\n</tools>"
    written = parse(call["content"])
    assert [(call["name"], call["args"]) for call in written.tool_calls] == [
        (CALL["name"], CALL["args"])
    ]
    assert result == {"role": "user", "content": "<tool_response>\n12\n</tool_response>"}
    assert plain_turns(as_chat([HumanMessage("Hi")]), [TOOL])[0]["role"] == "system"


def test_a_template_with_tools_gets_their_schemas(tmp_path: Path) -> None:
    tiny.llama(tmp_path)
    words = tiny.tokenizer()
    words.chat_template = "{{ tools[0].function.name }}|" + tiny.TEMPLATE
    words.save_pretrained(tmp_path)
    encoder = Weights("tiny", tmp_path).variant().words
    tokens = encoder.encode([{"role": "user", "content": "Hi"}], [TOOL])
    assert encoder.decode(tokens) == "get_price|<|user|>Hi<|end|><|assistant|>"


def test_bound_tools_turn_the_answer_into_calls(tmp_path: Path) -> None:
    """The model calls the tool only if the name of the tool ends its prompt."""
    call = '<tool_call>{"name": "get_price", "arguments": {"city": "Oslo"}}</tool_call>'
    template = "<|assistant|>{% for tool in tools or [] %}{{ tool.function.name }}{% endfor %}"
    tiny.chain(
        tmp_path / "caller",
        {"get_price": call, call: "<|end|>", "<|assistant|>": "<|end|>"},
        template,
    )
    try:
        chat = served(tmp_path).chat("local:caller")
        assert isinstance(chat, LocalChatModel)
        message = chat.bind_tools([get_price]).invoke("Price in Oslo?")
        assert message.tool_calls == [CALL]
        assert chat.invoke("Price in Oslo?").text == ""
    finally:
        close_all()
