"""Read what a caller gave: a task by name, a run's name, what to show, reports."""

from __future__ import annotations

from typing import Final, TypeVar
from uuid import uuid4

from langgraph.runtime import Runtime
from pydantic import TypeAdapter, ValidationError

from apprentice.state.context import Context
from apprentice.state.errors import BadInput, OutOfBounds, UnknownName
from apprentice.state.insights import GivenReports, InsightReport
from apprentice.state.nouns import Name, Task
from apprentice.state.prompts import ACTING_SECTIONS, Shown
from apprentice.workspace import Workspace

_TASK: Final = TypeAdapter[Task](Task)
_SHOWN: Final = TypeAdapter[Shown](Shown)
_FLAG: Final = TypeAdapter[bool](bool)
_NAME: Final = TypeAdapter[str](Name)
_NUMBER: Final = TypeAdapter[int](int)
_REPORTS: Final = TypeAdapter[list[InsightReport]](GivenReports)
_T = TypeVar("_T")


def read_task(given: object, workspace: Workspace) -> Task:
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
    asked = read(_TASK, "task", given)
    return workspace.environment(asked.environment).task(asked.id)


def read_shown(given: object) -> Shown:
    """Return what to show; nothing given is nothing shown.

    Raises:
        UnknownName: if it names a section that the prompt does not have.
        BadInput: if a section is not a list of texts.
    """
    if given is None:
        return Shown()
    sections = [name for name, _ in ACTING_SECTIONS]
    for name in given if isinstance(given, dict) else ():
        if name not in sections:
            raise UnknownName("section of 'shown'", str(name), sections)
    return read(_SHOWN, "shown", given)


def read_flag(what: str, given: object) -> bool:
    """Return a yes or no.

    Raises:
        BadInput: if it is neither.
    """
    return read(_FLAG, what, given)


def read_name(what: str, given: object) -> str:
    """Return a name, or '' when none was given.

    Raises:
        BadInput: if it cannot be a name.
    """
    return read(_NAME, what, given) if given else ""


def read_number(what: str, given: object, default: int, low: int, high: int) -> int:
    """Return a whole number, or the default when none was given.

    Raises:
        BadInput: if it is no whole number.
        OutOfBounds: if it lies outside its limits.
    """
    number = default if given is None else read(_NUMBER, what, given)
    if not low <= number <= high:
        raise OutOfBounds(f"The input {what!r}", number, low, high)
    return number


def read_reports(given: object) -> list[InsightReport]:
    """Return reports; an empty list is one, nothing is none.

    Raises:
        BadInput: if none were given, or one that cannot be.
    """
    if given is None:
        raise BadInput(
            'No reports were given. The input needs a list, if only an empty one: {"reports": '
            '[{"text": "Sign-ups fell by 5 %.", "hit_target": false}]}.'
        )
    return read(_REPORTS, "reports", given)


def read_run(given: object, runtime: Runtime[Context]) -> str:
    """Return the name given, else the run's id, else a fresh one: kept in the state from here.

    Raises:
        BadInput: if it cannot be a name.
    """
    info = runtime.execution_info
    return read_name("run", given) or (info and info.run_id) or str(uuid4())


def read(adapter: TypeAdapter[_T], what: str, given: object) -> _T:
    """Return an input as what it should be.

    Args:
        adapter: reads it.
        what: its name in the error.
        given: what arrived.

    Raises:
        BadInput: if it cannot be read so.
    """
    try:
        return adapter.validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([what, *(str(part) for part in first["loc"])])
        raise BadInput(f"The input {where!r} cannot be read: {first['msg']}.") from error
