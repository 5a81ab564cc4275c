"""Read what a caller gave: a task by name, and what to show."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError

from environments.registry import environment
from state.errors import BadInput
from state.nouns import Task
from state.prompts import Shown

_SHOWN: TypeAdapter[Shown] = TypeAdapter(Shown)


def read_task(given: object) -> Task:
    """Return the task of an environment that was asked for; blocks while it is looked up.

    Only the environment's name and the task's id count; the environment knows the rest.

    Raises:
        BadInput: if no task was given, or one that cannot be.
        UnknownName: if there is no such environment or task.
    """
    if given is None:
        raise BadInput(
            'No task was given. The input needs one: {"task": {"environment": '
            '"household/north/small", "id": "test/0"}}.'
        )
    asked = given if isinstance(given, Task) else _validated(TypeAdapter(Task), "task", given)
    return environment(asked.environment).task(asked.id)


def read_shown(given: object) -> Shown:
    """Return what to show; nothing given is nothing shown.

    Raises:
        BadInput: if it names a section that the prompt does not have, or holds no texts.
    """
    if given is None or isinstance(given, Shown):
        return given or Shown()
    return _validated(_SHOWN, "shown", given)


def _validated(adapter: TypeAdapter[Any], what: str, given: object) -> Any:
    try:
        return adapter.validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([what, *(str(part) for part in first["loc"])])
        raise BadInput(f"The input {where!r} cannot be read: {first['msg']}.") from error
