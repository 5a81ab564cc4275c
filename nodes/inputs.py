"""Read and check a graph's input: a task, a run's name, what to show, reports, numbers."""

from __future__ import annotations

from typing import Final, TypeVar
from uuid import uuid4

from langgraph.runtime import Runtime
from pydantic import TypeAdapter, ValidationError

from apprentice.state.context import Context
from apprentice.state.errors import BadInput, OutOfBounds, UnknownName
from apprentice.state.insights import GivenReports, InsightReport
from apprentice.state.prompts import ACTING_SECTIONS, Shown
from apprentice.state.trajectory import Name, Task
from apprentice.workspace import Workspace

_TASK: Final = TypeAdapter[Task](Task)
_SHOWN: Final = TypeAdapter[Shown](Shown)
_FLAG: Final = TypeAdapter[bool](bool)
_NAME: Final = TypeAdapter[str](Name)
_NUMBER: Final = TypeAdapter[int](int)
_REPORTS: Final = TypeAdapter[list[InsightReport]](GivenReports)
_T = TypeVar("_T")


def read_task(value: object, workspace: Workspace) -> Task:
    """Return the requested task of an environment; blocks while the environment looks it up.

    Only the environment's name and the task's id count; the environment knows the rest.

    Raises:
        BadInput: the input has no task, or its fields cannot be read.
        UnknownName: there is no such environment or task.
    """
    if value is None:
        raise BadInput(
            'No task was given. The input needs one: {"task": {"environment": '
            '"household/north/small", "id": "test/0"}}.'
        )
    requested = read(_TASK, "task", value)
    return workspace.environment(requested.environment).task(requested.id)


def read_shown(value: object) -> Shown:
    """Return what to show; without an input, nothing is shown.

    Raises:
        UnknownName: the input names a section that the prompt does not have.
        BadInput: a section is not a list of texts.
    """
    if value is None:
        return Shown()
    sections = [name for name, _ in ACTING_SECTIONS]
    for name in value if isinstance(value, dict) else ():
        if name not in sections:
            raise UnknownName("section of 'shown'", str(name), sections)
    return read(_SHOWN, "shown", value)


def read_flag(what: str, value: object) -> bool:
    """Return a yes or no.

    Raises:
        BadInput: the value is neither.
    """
    return read(_FLAG, what, value)


def read_name(what: str, value: object) -> str:
    """Return a name; '' without one.

    Raises:
        BadInput: the value cannot be a name.
    """
    return read(_NAME, what, value) if value else ""


def read_number(what: str, value: object, default: int, low: int, high: int) -> int:
    """Return a whole number, or the default when there is no value.

    Raises:
        BadInput: the value is not a whole number.
        OutOfBounds: the number lies outside its limits.
    """
    number = default if value is None else read(_NUMBER, what, value)
    if not low <= number <= high:
        raise OutOfBounds(f"The input {what!r}", number, low, high)
    return number


def read_reports(value: object) -> list[InsightReport]:
    """Return the reports of an input; the list may be empty, but it must be there.

    Raises:
        BadInput: the input has no list of reports, or a report cannot be read.
    """
    if value is None:
        raise BadInput(
            'No reports were given. The input needs a list, which may be empty: {"reports": '
            '[{"text": "Sign-ups fell by 5 %.", "hit_target": false}]}.'
        )
    return read(_REPORTS, "reports", value)


def read_run(value: object, runtime: Runtime[Context]) -> str:
    """Return the name of a run: the given one, else the run's id, else a new one.

    Raises:
        BadInput: the value cannot be a name.
    """
    info = runtime.execution_info
    return read_name("run", value) or (info and info.run_id) or str(uuid4())


def read(adapter: TypeAdapter[_T], what: str, value: object) -> _T:
    """Return an input as the type that it should have.

    Args:
        adapter: reads the type.
        what: the input's name in the error.
        value: the input as it arrived.

    Raises:
        BadInput: the input cannot be read as that type.
    """
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([what, *(str(part) for part in first["loc"])])
        raise BadInput(f"The input {where!r} cannot be read: {first['msg']}.") from error
