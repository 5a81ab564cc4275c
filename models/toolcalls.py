"""Write conversations and tools in the form that chat templates read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, ToolMessage

from apprentice.state.toolcalls import call, response, section

_ROLES: Final = {"human": "user", "ai": "assistant"}


def as_chat(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """Return messages in the form that chat templates read."""
    return [_as_chat(message) for message in messages]


def plain_turns(
    chat: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Write tools, calls and results as text, for templates without support for tools."""
    turns = [_plain_turn(turn) for turn in chat]
    if not tools:
        return turns
    if turns and turns[0]["role"] == "system":
        turns[0]["content"] += f"\n\n{section(tools)}"
        return turns
    return [{"role": "system", "content": section(tools)}, *turns]


def _plain_turn(turn: Mapping[str, Any]) -> dict[str, Any]:
    role, content = turn["role"], turn["content"]
    for tool_call in turn.get("tool_calls", ()):
        content += call(tool_call["function"]["name"], tool_call["function"]["arguments"])
    if role == "tool":
        role, content = "user", response(content)
    return {"role": role, "content": content}


def _as_chat(message: BaseMessage) -> dict[str, Any]:
    role = message.role if isinstance(message, ChatMessage) else message.type
    turn: dict[str, Any] = {"role": _ROLES.get(role, role), "content": str(message.text)}
    if isinstance(message, AIMessage) and message.tool_calls:
        turn["tool_calls"] = [
            {
                "type": "function",
                "function": {"name": tool_call["name"], "arguments": tool_call["args"]},
            }
            for tool_call in message.tool_calls
        ]
    if isinstance(message, ToolMessage) and message.name:
        turn["name"] = message.name
    return turn
