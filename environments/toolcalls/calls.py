"""Reading and checking of calls, and the marks that a turn gets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from jsonschema import Draft202012Validator
from langchain_core.messages import AIMessage

from apprentice.environments.answers import without_thoughts
from apprentice.state.toolcalls import parse

Schema = dict[str, Any]
_EXTRA: Final = "additionalProperties"


class Call(NamedTuple):
    """A function and its arguments."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """The content of a turn.

    Attributes:
        text: the text beside the calls.
        calls: the valid calls, in order.
        faults: why the other calls are invalid, a sentence for each fault.
    """

    text: str
    calls: tuple[Call, ...]
    faults: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether the turn has a call or a text, and no fault."""
        return not self.faults and bool(self.calls or self.text)


@dataclass(frozen=True)
class Marks:
    """How the first turn at a task compares with the reference calls.

    Attributes:
        needs_call: whether the task needs a call.
        valid: whether every call is well-formed and fits the schema of an available tool.
        has_call: whether the turn has a call, valid or not.
        functions: whether the turn calls the right functions.
        right: whether the arguments are right too; without reference calls, whether it calls none.
    """

    needs_call: bool
    valid: bool
    has_call: bool
    functions: bool
    right: bool


@dataclass(frozen=True)
class Metrics:
    """Shares of turns, each in [0, 1]; None if there was nothing to count.

    Attributes:
        calls: the share with the right functions, among requests that need a tool.
        arguments: the share with the right arguments too, among the same requests.
        no_call: the share without a call, among requests that need no tool.
        format: the share of valid turns among all.
    """

    calls: float | None
    arguments: float | None
    no_call: float | None
    format: float | None


def read(text: str, tools: Sequence[Schema]) -> Answer:
    """Read a turn and check its calls against the tools; execute nothing."""
    message = parse(without_thoughts(text))
    calls, faults = [], [fault["error"] or "unreadable" for fault in message.invalid_tool_calls]
    for tool_call in message.tool_calls:
        call = Call(tool_call["name"], tool_call["args"])
        call_faults = faults_of(call, tools)
        faults += call_faults
        if not call_faults:
            calls.append(call)
    return Answer(_text(message), tuple(calls), tuple(faults))


def faults_of(call: Call, tools: Sequence[Schema]) -> list[str]:
    """Return the faults of a call: an unknown tool; missing, extra or mistyped arguments."""
    schemas = {tool["name"]: tool["parameters"] for tool in tools}
    if call.name not in schemas:
        return [f"There is no tool {call.name[:80]!r}. There are: {', '.join(schemas)}."]
    # An argument that the tool does not know is a fault, even if the schema allows extra ones.
    schema = {_EXTRA: False, **schemas[call.name]}
    errors = Draft202012Validator(schema).iter_errors(call.arguments)
    return sorted(f"{_where(error.path)}{error.message[:200]}." for error in errors)


def mark(text: str, reference: Sequence[Call], tools: Sequence[Schema]) -> Marks:
    """Mark a first turn against the reference calls; their order does not matter."""
    answer = read(text, tools)
    names = sorted(call.name for call in answer.calls) == sorted(call.name for call in reference)
    return Marks(
        needs_call=bool(reference),
        valid=answer.valid,
        has_call=bool(answer.calls or answer.faults),
        functions=answer.valid and names,
        right=answer.valid and same(answer.calls, reference),
    )


def same(calls: Sequence[Call], reference: Sequence[Call]) -> bool:
    """Return whether two lists hold the same calls; 1 equals 1.0, but 1 differs from true."""
    ours = [_exact(call) for call in calls]
    theirs = [_exact(call) for call in reference]
    return len(ours) == len(theirs) and all(ours.count(one) == theirs.count(one) for one in ours)


def metrics(marks: Iterable[Marks]) -> Metrics:
    """Return the metrics of many turns."""
    turns = list(marks)
    with_tool = [turn for turn in turns if turn.needs_call]
    without_tool = [turn for turn in turns if not turn.needs_call]
    return Metrics(
        calls=_share([turn.functions for turn in with_tool]),
        arguments=_share([turn.right for turn in with_tool]),
        no_call=_share([not turn.has_call for turn in without_tool]),
        format=_share([turn.valid for turn in turns]),
    )


def _exact(value: Any) -> Any:
    """Return a value in a form in which `true` differs from 1."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, Call):
        return (value.name, _exact(value.arguments))
    if isinstance(value, dict):
        return {name: _exact(inner) for name, inner in value.items()}
    return [_exact(inner) for inner in value] if isinstance(value, list) else value


def _share(of: Sequence[bool]) -> float | None:
    return sum(of) / len(of) if of else None


def _text(message: AIMessage) -> str:
    return str(message.text).strip()


def _where(path: Iterable[object]) -> str:
    name = ".".join(str(part) for part in path)
    return f"{name}: " if name else ""
