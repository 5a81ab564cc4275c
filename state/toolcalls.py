"""The wire format of function calling: tools, calls and results in a conversation.

Prompts, training data and the reader at run time share it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessage, AnyMessage, ToolCall
from langchain_core.messages.tool import invalid_tool_call, tool_call

from apprentice.state.prompts import TOOLS
from apprentice.state.trajectory import text_of

_CALL: Final = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
_SECTION: Final = re.compile(rf"(?:\n\n)?{re.escape(TOOLS)}\n<tools>\n(.*?)\n</tools>", re.DOTALL)
_RESPONSE: Final = re.compile(
    r"\s*<tool_response>\n((?:(?!</?tool_response>).)*)\n</tool_response>\s*", re.DOTALL
)
REFUSED: Final = "Not carried out."
"""The beginning of a refused call's result."""


def section(tools: Sequence[Mapping[str, Any]]) -> str:
    """List the tools, one JSON Schema per line."""
    schemas = "\n".join(json.dumps(tool.get("function", tool)) for tool in tools)
    return f"{TOOLS}\n<tools>\n{schemas}\n</tools>"


def read_section(text: str) -> tuple[str, list[dict[str, Any]]]:
    """Return a system turn without its tools, and the tools."""
    match = _SECTION.search(text)
    if match is None:
        return text, []
    tools = [json.loads(line) for line in match[1].splitlines()]
    return (text[: match.start()] + text[match.end() :]).strip(), tools


def call(name: str, arguments: Mapping[str, Any]) -> str:
    """Write a call."""
    return f"<tool_call>{json.dumps({'name': name, 'arguments': arguments})}</tool_call>"


def response(text: str) -> str:
    """Write a tool's result, as a turn of the user."""
    return f"<tool_response>\n{text}\n</tool_response>"


def read_response(text: str) -> str | None:
    """Return a tool's result, or None if the turn is not just one result."""
    match = _RESPONSE.fullmatch(text)
    return match[1] if match else None


def text_with_calls(message: AnyMessage) -> str:
    """Return a turn's text with its tool calls written out."""
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    return text_of(message) + "".join(call(tool["name"], tool["args"]) for tool in calls)


def parse(text: str) -> AIMessage:
    """Return an answer as a message, with its calls as tool calls.

    A call that cannot be read becomes an invalid call with the reason, never a guess.
    """
    calls, invalid = [], []
    for number, match in enumerate(_CALL.finditer(text)):
        body = match[1].strip()
        try:
            calls.append(_call(body, f"call_{number}"))
        except ValueError as error:
            invalid.append(
                invalid_tool_call(name=None, args=body, id=f"call_{number}", error=str(error))
            )
    return AIMessage(_CALL.sub("", text).strip(), tool_calls=calls, invalid_tool_calls=invalid)


def _call(body: str, call_id: str) -> ToolCall:
    read = json.loads(body)
    if not isinstance(read, dict) or not isinstance(read.get("name"), str):
        raise ValueError('A call is a JSON object with "name" and "arguments".')
    arguments = read.get("arguments", {})
    if not isinstance(arguments, dict):
        raise ValueError('A call\'s "arguments" are a JSON object.')
    return tool_call(name=read["name"], args=arguments, id=call_id)
