"""The wire format of function calling: how tools, calls and results stand in a conversation.

One source for the prompt, for what is trained on and for what is read back at run time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessage, AnyMessage, ToolCall
from langchain_core.messages.tool import invalid_tool_call, tool_call

from apprentice.state.nouns import text_of
from apprentice.state.prompts import TOOLS

_CALL: Final = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
_SECTION: Final = re.compile(rf"(?:\n\n)?{re.escape(TOOLS)}\n<tools>\n(.*?)\n</tools>", re.DOTALL)
_RESPONSE: Final = re.compile(
    r"\s*<tool_response>\n((?:(?!</?tool_response>).)*)\n</tool_response>\s*", re.DOTALL
)
REFUSED: Final = "Not carried out."
"""How the result of a call that was refused begins."""


def section(tools: Sequence[Mapping[str, Any]]) -> str:
    """Say which tools there are, a JSON Schema a line."""
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
    """Write what a tool answered, as a turn of the user."""
    return f"<tool_response>\n{text}\n</tool_response>"


def read_response(text: str) -> str | None:
    """Return what a tool answered; None where a turn is not a tool's answer alone."""
    match = _RESPONSE.fullmatch(text)
    return match[1] if match else None


def text_with_calls(message: AnyMessage) -> str:
    """Return a turn's text, calls in fields of their own included, as if it were all text."""
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    return text_of(message) + "".join(call(tool["name"], tool["args"]) for tool in calls)


def parse(text: str) -> AIMessage:
    """Return an answer as a message, its calls taken out of the text.

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
