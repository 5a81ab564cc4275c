"""Reads chat messages of several formats into LangChain's messages.

The reader takes LangChain's messages (objects, and every JSON form of them), OpenAI's, and plain
JSON: `{"role": …, "content": …}`, `{"from": …, "value": …}` or a pair of role and content. Messages
come from outside, so the reader loads no class by a name in them and guesses nothing. Fields that a
message class does not have go into `additional_kwargs`.
"""

from __future__ import annotations

import ast
import json
import re
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    BaseMessageChunk,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    message_chunk_to_message,
)
from langchain_core.messages.tool import invalid_tool_call, tool_call
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from apprentice.state.errors import BadInput, OutOfBounds, UnknownName
from apprentice.state.submission import flaw

MESSAGE_LIMIT: Final = 2_000
CHARACTER_LIMIT: Final = 2_000_000  # of the transcript as JSON

REASONING: Final = re.compile(r"<think>.*?(?:</think>|\Z)", re.I | re.S)
"""Reasoning that models write into the text before the answer."""

_CLASSES: Final[dict[str, type[AnyMessage]]] = {
    "human": HumanMessage,
    "ai": AIMessage,
    "system": SystemMessage,
    "tool": ToolMessage,
}
_ROLES: Final = {
    **dict.fromkeys(("human", "user", "HumanMessage", "HumanMessageChunk"), "human"),
    **dict.fromkeys(("ai", "assistant", "model", "gpt", "AIMessage", "AIMessageChunk"), "ai"),
    **dict.fromkeys(("system", "developer", "SystemMessage", "SystemMessageChunk"), "system"),
    **dict.fromkeys(("tool", "function", "ToolMessage", "ToolMessageChunk"), "tool"),
}
_WRITTEN: Final = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool"}
_SPOKEN: Final = ("assistant", "developer", "function", "human", "model", "system", "tool", "user")
_KINDS: Final[dict[type, str]] = {
    bool: "true or false",
    dict: "an object",
    float: "a number",
    int: "a number",
    list: "a list",
    str: "a text",
    type(None): "nothing",
}
_FORMS: Final = (
    'Write {"role": "user", "content": "…"} with the roles system, user, assistant and tool, or '
    "LangChain's messages as JSON."
)


def read_messages(transcript: object) -> tuple[AnyMessage, ...]:
    """Return a transcript's messages.

    A tool result without a call id is matched to the oldest call without a result. A call whose
    arguments cannot be read becomes an invalid call, with the reason.

    Raises:
        BadInput: if it is no list of messages; names the first one that cannot be read.
        OutOfBounds: if it has too many messages or characters.
        UnknownName: if a message has an unknown role.
    """
    if isinstance(transcript, str | bytes) or not isinstance(transcript, Sequence):
        raise BadInput(f"The messages are {_kind(transcript)}, but must be a list. {_FORMS}")
    if not transcript:
        raise BadInput("The list of messages is empty. Send at least one message.")
    if len(transcript) > MESSAGE_LIMIT:
        raise OutOfBounds("The number of messages", len(transcript), 1, MESSAGE_LIMIT)
    open_calls: deque[str] = deque()
    messages: list[AnyMessage] = []
    size = 0
    for number, each in enumerate(transcript, 1):
        try:
            message = _message(number, each, open_calls)
            size += len(message.model_dump_json())
        except PydanticSerializationError as error:
            reason = str(error)[:200]
            raise BadInput(f"Message {number} cannot be written as JSON ({reason}).") from error
        if size > CHARACTER_LIMIT:
            raise OutOfBounds("The length of the transcript", size, 1, CHARACTER_LIMIT)
        messages.append(message)
    return tuple(messages)


def _message(number: int, message: object, open_calls: deque[str]) -> AnyMessage:
    fields = _fields(number, message)
    if reason := flaw(fields):
        raise BadInput(f"Message {number} cannot be stored: {reason}.")
    role = _role(number, fields)
    if role == "ai":
        fields |= _calls(number, fields)
        open_calls.extend(call["id"] for call in fields["tool_calls"] if call["id"])
    elif role == "tool":
        call_id = fields.get("tool_call_id")
        if call_id is None:
            fields["tool_call_id"] = open_calls.popleft() if open_calls else ""
        elif call_id in open_calls:
            open_calls.remove(call_id)
    message_class = _CLASSES[role]
    own_fields = {
        name: value for name, value in fields.items() if name in message_class.model_fields
    }
    beside = {
        name: value for name, value in fields.items() if name not in message_class.model_fields
    }
    own_fields["content"] = _content(role, fields)
    own_fields["additional_kwargs"] = {**fields["additional_kwargs"], **beside}
    try:
        return message_class.model_validate(own_fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"Message {number}: {where!r} cannot be read: {first['msg']}.") from error


def _fields(number: int, message: object) -> dict[str, Any]:
    """Return a message's fields under LangChain's names, with its role."""
    if isinstance(message, BaseMessage):
        whole = (
            message_chunk_to_message(message) if isinstance(message, BaseMessageChunk) else message
        )
        message = whole.model_dump()
    if isinstance(message, tuple | list) and len(message) == 2:
        message = {"role": message[0], "content": message[1]}
    if not isinstance(message, Mapping):
        raise BadInput(f"Message {number} is {_kind(message)}, but must be an object. {_FORMS}")
    fields = dict(message)
    if isinstance(fields.get("kwargs"), Mapping) and "lc" in fields:  # langchain_core.load.dumpd
        path = fields.get("id")
        name = path[-1] if isinstance(path, list) and path else None
        fields = {"type": name, **fields["kwargs"]}
    elif isinstance(fields.get("data"), Mapping):  # langchain_core.messages.messages_to_dict
        fields = {**fields["data"], "type": fields.get("type")}
    elif "from" in fields and "value" in fields:
        fields["role"], fields["content"] = fields.pop("from"), fields.pop("value")
    beside = fields.get("additional_kwargs") or {}
    if not isinstance(beside, Mapping):
        raise BadInput(
            f"Message {number}: 'additional_kwargs' is {_kind(beside)}, but must be an object."
        )
    return {**fields, "additional_kwargs": dict(beside)}


def _role(number: int, fields: dict[str, Any]) -> str:
    kind, role = fields.pop("type", None), fields.pop("role", None)
    name = role if role is not None else kind
    if name is None:
        raise BadInput(f"Message {number} has no role. {_FORMS}")
    if not isinstance(name, str) or name not in _ROLES:
        raise UnknownName(f"role of message {number}", str(name), _SPOKEN)
    return _ROLES[name]


def _content(role: str, fields: Mapping[str, Any]) -> Any:
    content = fields.get("content")
    if content is None:
        return fields.get("refusal") or ""
    if role == "tool" and not isinstance(content, str | list):
        return json.dumps(content, ensure_ascii=False)
    return content


def _calls(number: int, fields: dict[str, Any]) -> dict[str, Any]:
    """Return an agent's calls in LangChain's form, wherever the message has them."""
    beside = dict(fields["additional_kwargs"])
    earlier = beside.pop("tool_calls", None), beside.pop("function_call", None)
    legacy = fields.pop("function_call", None) or earlier[1]
    calls_in = fields.get("tool_calls") or earlier[0] or ([legacy] if legacy else [])
    if isinstance(calls_in, str):
        calls_in = _parse(calls_in)
    if not isinstance(calls_in, Sequence) or not all(
        isinstance(each, Mapping) for each in calls_in
    ):
        raise BadInput(
            f"Message {number}: 'tool_calls' is {_kind(calls_in)}, but must be a list of objects."
        )
    unread = fields.get("invalid_tool_calls")
    calls, invalid = [], [*unread] if isinstance(unread, list) else []
    for place, each in enumerate(calls_in):
        call_id = str(each.get("id") or f"call_{number}_{place}")
        function = each.get("function", each)
        name = function.get("name") if isinstance(function, Mapping) else None
        arguments_in = function.get("args", function.get("arguments", {})) if name else each
        arguments = (
            _parse(arguments_in or "") if isinstance(arguments_in, str | None) else arguments_in
        )
        if isinstance(name, str) and isinstance(arguments, Mapping):
            calls.append(tool_call(name=name, args=dict(arguments), id=call_id))
            continue
        reason = "Its arguments are no JSON object." if name else "It names no tool."
        invalid.append(
            invalid_tool_call(name=name, args=_as_text(arguments_in), id=call_id, error=reason)
        )
    return {"tool_calls": calls, "invalid_tool_calls": invalid, "additional_kwargs": beside}


def _parse(text: str) -> object:
    """Read JSON or, as older data has it, a Python literal; None if it is neither."""
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text) if text.strip() else {}
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        return None if flaw(value) else value
    return None


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _kind(value: object) -> str:
    return _KINDS.get(type(value), f"a {type(value).__name__}")


def write_message(message: AnyMessage) -> dict[str, Any]:
    """Return a message in OpenAI's chat form, plus LangChain's own fields.

    `read_messages` reads the same message back. Readers of OpenAI's form ignore the rest.
    """
    whole = message.model_dump(mode="json")
    kind = whole.pop("type")
    fields: dict[str, Any] = {"role": _WRITTEN[kind], "content": whole.pop("content")}
    calls = whole.pop("tool_calls", None)
    if calls:
        fields["tool_calls"] = [_written_call(call) for call in calls]
    defaults = _CLASSES[kind].model_fields
    return fields | {
        name: value
        for name, value in whole.items()
        if value and not (name in defaults and value == defaults[name].default)
    }


def _written_call(call: Mapping[str, Any]) -> dict[str, Any]:
    arguments = json.dumps(call["args"], ensure_ascii=False)
    function = {"name": call["name"], "arguments": arguments}
    return {"id": call["id"], "type": "function", "function": function}
