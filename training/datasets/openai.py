"""What OpenAI's fine-tuning takes: one JSONL file, checked before anyone uploads it.

Supervised: `messages`. Preference: `input`, `preferred_output`, `non_preferred_output`.
Reinforcement: `messages` that end with the user, and beside them whatever a grader reads. After
the guides at platform.openai.com/docs/guides: supervised-fine-tuning,
direct-preference-optimization, reinforcement-fine-tuning.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from apprentice.state.errors import BadInput
from apprentice.training.datasets.rows import Row, lines

OpenAI = Literal["supervised", "preference", "reinforcement"]
LEAST: Final = 10
_ROLES: Final = ("system", "developer", "user", "assistant", "tool")


def check_openai(form: OpenAI, path: Path, least: int = LEAST) -> int:
    """Return how many examples a file has, all of them as OpenAI takes them.

    Raises:
        BadInput: one of them is not, or there are too few; names the line.
    """
    count = 0
    for number, row in lines(path):
        if reason := _CHECKS[form](row if isinstance(row, dict) else {}):
            raise BadInput(f"{path}, line {number}: no {form} example ({reason}).")
        count += 1
    if count < least:
        raise BadInput(f"{path} has {count} examples, but OpenAI takes at least {least}.")
    return count


def _why_not_supervised(row: Row) -> str:
    if set(row) - {"messages", "tools", "parallel_tool_calls"}:
        return f"unknown fields {sorted(set(row) - {'messages', 'tools'})}"
    reason = _why_not_messages(row.get("messages"))
    if reason:
        return reason
    if row["messages"][-1]["role"] != "assistant":
        return "it does not end with the assistant"
    return _why_not_tools(row)


def _why_not_preference(row: Row) -> str:
    if set(row) != {"input", "preferred_output", "non_preferred_output"}:
        return "it needs input, preferred_output and non_preferred_output"
    asked = row["input"] if isinstance(row["input"], dict) else {}
    if reason := _why_not_messages(asked.get("messages")) or _why_not_tools(asked):
        return f"input: {reason}"
    for name in ("preferred_output", "non_preferred_output"):
        if reason := _why_not_messages(row[name]):
            return f"{name}: {reason}"
        if len(row[name]) != 1 or row[name][0]["role"] != "assistant":
            return f"{name} is not one turn of the assistant"
    return ""


def _why_not_reinforcement(row: Row) -> str:
    if reason := _why_not_messages(row.get("messages")):
        return reason
    if row["messages"][-1]["role"] != "user":
        return "it does not end with the user"
    return _why_not_tools(row)


def _why_not_messages(messages: object) -> str:
    if not isinstance(messages, list) or not messages:
        return "messages are missing"
    waiting: set[str] = set()  # calls that have no result yet
    for turn in messages:
        if not isinstance(turn, dict) or turn.get("role") not in _ROLES:
            return "a message has no known role"
        if not isinstance(turn.get("content"), str):
            return "a message has no text"
        if not turn["content"] and not turn.get("tool_calls"):
            return "a message is empty"
        if turn["role"] == "tool":
            if (answered := str(turn.get("tool_call_id"))) not in waiting:
                return "a tool's answer names no call of the turn before it"
            waiting.remove(answered)
        elif waiting:
            return "a call is followed by something else than its tool's answer"
        if reason := _why_not_calls(turn.get("tool_calls", [])):
            return reason
        waiting |= {str(call["id"]) for call in turn.get("tool_calls", [])}
    return ""


def _why_not_calls(calls: object) -> str:
    for call in calls if isinstance(calls, list) else [None]:
        call = call if isinstance(call, dict) else {}
        function = call.get("function")
        if not isinstance(function, dict) or not function.get("name") or not call.get("id"):
            return "a call has no id or names no function"
        try:
            arguments = json.loads(function.get("arguments", ""))
        except (TypeError, json.JSONDecodeError):
            arguments = None
        if not isinstance(arguments, dict):
            return "a call's arguments are not the JSON text of an object"
    return ""


def _why_not_tools(row: Row) -> str:
    for tool in row.get("tools", []):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not function.get("name"):
            return "a tool is no function with a name"
    return ""


_CHECKS: Final[dict[OpenAI, Callable[[Row], str]]] = {
    "supervised": _why_not_supervised,
    "preference": _why_not_preference,
    "reinforcement": _why_not_reinforcement,
}
