"""Check JSONL files for OpenAI's fine-tuning, before anyone uploads them.

A supervised row has `messages`. A preference row has `input`, `preferred_output` and
`non_preferred_output`. A reinforcement row has `messages` that end with the user, and any fields
that a grader reads. Source: the guides at platform.openai.com/docs/guides, supervised-fine-tuning,
direct-preference-optimization and reinforcement-fine-tuning.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from apprentice.state.errors import BadInput
from apprentice.training.datasets.rows import Row, lines

OpenAI = Literal["supervised", "preference", "reinforcement"]
MINIMUM: Final = 10
_ROLES: Final = ("system", "developer", "user", "assistant", "tool")


def check_openai(form: OpenAI, path: Path, minimum: int = MINIMUM) -> int:
    """Check every example of a file, and return their number.

    Raises:
        BadInput: OpenAI would refuse an example (the message names its line), or there are fewer
            than `minimum`.
    """
    count = 0
    for number, row in lines(path):
        if reason := _CHECKS[form](row if isinstance(row, dict) else {}):
            raise BadInput(f"{path}, line {number}: not a valid {form} example ({reason}).")
        count += 1
    if count < minimum:
        raise BadInput(f"{path} has {count} examples, but OpenAI requires at least {minimum}.")
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
    request = row["input"] if isinstance(row["input"], dict) else {}
    if reason := _why_not_messages(request.get("messages")) or _why_not_tools(request):
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
    open_calls: set[str] = set()  # calls that have no result yet
    for turn in messages:
        if not isinstance(turn, dict) or turn.get("role") not in _ROLES:
            return "a message has no known role"
        if not isinstance(turn.get("content"), str):
            return "a message has no text"
        if not turn["content"] and not turn.get("tool_calls"):
            return "a message is empty"
        if turn["role"] == "tool":
            if (call_id := str(turn.get("tool_call_id"))) not in open_calls:
                return "a tool's answer names no call of the turn before it"
            open_calls.remove(call_id)
        elif open_calls:
            return "a call is not followed by its tool's answer"
        if reason := _why_not_calls(turn.get("tool_calls", [])):
            return reason
        open_calls |= {str(call["id"]) for call in turn.get("tool_calls", [])}
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
            return "a tool is not a function with a name"
    return ""


_CHECKS: Final[dict[OpenAI, Callable[[Row], str]]] = {
    "supervised": _why_not_supervised,
    "preference": _why_not_preference,
    "reinforcement": _why_not_reinforcement,
}
