"""Attempts that came from outside: their ids, their stored form, and checks of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AnyMessage
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from apprentice.state.errors import BadInput
from apprentice.state.trajectory import Task, Trajectory, digest

LIMIT: Final = 2_000_000
"""Characters that an attempt may have, written as JSON."""
_BITS: Final = 63  # beside the sign: checkpoints and data sets hold no more
NESTING: Final = 100
"""Levels of nesting, at most; readers of JSON give up at 200."""


def sent_id(tenant: str, task: Task, messages: Sequence[AnyMessage], sender_id: str = "") -> str:
    """Return the id of an attempt from outside: the sender's, else a hash of its content.

    The hash ignores the ids of messages, because libraries generate new ones each time.
    """
    if sender_id:
        return sender_id
    return digest(tenant, task.environment, task.id, _message_contents(messages))


def write_attempt(attempt: Trajectory) -> str:
    """Return an attempt as it is stored, as JSON.

    Raises:
        BadInput: if it cannot be written, or is too large.
    """
    try:
        text = attempt.model_dump_json()
    except PydanticSerializationError as error:
        raise BadInput(
            f"The attempt {attempt.id[:80]!r} cannot be written as JSON ({str(error)[:200]})."
        ) from error
    if len(text) > LIMIT:
        raise BadInput(
            f"The attempt {attempt.id[:80]!r} has {len(text):,} characters, but at most "
            f"{LIMIT:,} are stored. Leave out what no other task can learn from, such as files."
        )
    return text


def as_stored(attempt: Trajectory) -> Trajectory:
    """Return an attempt as it will be read back, so that nothing unreadable is stored.

    Raises:
        BadInput: if it cannot be, or is too large.
    """
    text = write_attempt(attempt)
    try:
        return Trajectory.model_validate_json(text)
    except ValidationError as error:
        raise BadInput(
            f"The attempt {attempt.id[:80]!r} could not be read back ({first_fault(error)})."
        ) from error


def expect_same(stored: Trajectory, attempt: Trajectory, fields: Iterable[str]) -> None:
    """Refuse an attempt with the id of another one, because it would be dropped.

    The ids of messages are ignored.

    Args:
        stored: the attempt under that id.
        attempt: the new one, in its stored form.
        fields: the fields of its task that the sender gave; only these are compared.

    Raises:
        BadInput: if their messages or their tasks differ.
    """
    same_task = all(getattr(stored.task, name) == getattr(attempt.task, name) for name in fields)
    same_messages = _message_contents(stored.messages) == _message_contents(attempt.messages)
    if same_task and same_messages:
        return
    others = [] if same_task else ["another task"]
    others += [] if same_messages else ["other messages"]
    raise BadInput(
        f"An attempt with the id {attempt.id[:80]!r} is stored already, with "
        f"{' and '.join(others)}. Send this one under an id of its own. To grade the stored one, "
        "send a verdict with its id alone."
    )


def flaw(value: object) -> str:
    """Say why a value cannot be stored as JSON; '' if it can."""
    level: list[object] = [value]
    for _ in range(NESTING):
        inner: list[object] = []
        for each in level:
            if isinstance(each, str):
                if half := _half_character(each):
                    return f"{half} is half a character, of a text that was cut within it"
            elif isinstance(each, int):
                if each.bit_length() > _BITS:
                    return "it holds a whole number that does not fit into 64 bits"
            elif isinstance(each, Mapping):
                inner += each.keys()
                inner += each.values()
            elif isinstance(each, list | tuple):
                inner += each
        level = inner
    return f"it is nested more than {NESTING} levels deep" if level else ""


def first_fault(error: ValidationError) -> str:
    """Return the first fault of an error, in one line."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return ": ".join([".".join(str(part) for part in first["loc"]), first["msg"]])


def _half_character(text: str) -> str:
    """Return the first lone surrogate of a text, as Python writes it."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return ascii(text[error.start])
    return ""


def _message_contents(messages: Sequence[AnyMessage]) -> list[dict[str, Any]]:
    return [message.model_dump(mode="json", exclude={"id"}) for message in messages]
