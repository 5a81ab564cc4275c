"""Tools for local models: schemas into the conversation, calls out of the answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, ToolCall, ToolMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call

from state.prompts import TOOLS

_CALL: Final = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
_ROLES: Final = {"human": "user", "ai": "assistant"}


def as_chat(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """Return messages in the form that chat templates read."""
    return [_as_chat(message) for message in messages]


def plain_turns(
    chat: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Write tools, calls and results as text, for templates that have no place for them."""
    turns = [_plain_turn(turn) for turn in chat]
    if not tools:
        return turns
    schemas = "\n".join(json.dumps(tool.get("function", tool)) for tool in tools)
    section = f"{TOOLS}\n<tools>\n{schemas}\n</tools>"
    if turns and turns[0]["role"] == "system":
        turns[0]["content"] += f"\n\n{section}"
        return turns
    return [{"role": "system", "content": section}, *turns]


def _plain_turn(turn: Mapping[str, Any]) -> dict[str, Any]:
    role, content = turn["role"], turn["content"]
    for call in turn.get("tool_calls", ()):
        content += f"<tool_call>{json.dumps(call['function'])}</tool_call>"
    if role == "tool":
        role, content = "user", f"<tool_response>\n{content}\n</tool_response>"
    return {"role": role, "content": content}


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


def _as_chat(message: BaseMessage) -> dict[str, Any]:
    role = message.role if isinstance(message, ChatMessage) else message.type
    turn: dict[str, Any] = {"role": _ROLES.get(role, role), "content": str(message.text)}
    if isinstance(message, AIMessage) and message.tool_calls:
        turn["tool_calls"] = [
            {"type": "function", "function": {"name": call["name"], "arguments": call["args"]}}
            for call in message.tool_calls
        ]
    if isinstance(message, ToolMessage) and message.name:
        turn["name"] = message.name
    return turn
