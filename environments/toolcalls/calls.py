"""Calls before they are carried out, and how a turn is marked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from jsonschema import Draft202012Validator
from langchain_core.messages import AIMessage

from apprentice.environments.answers import said
from apprentice.state.toolcalls import parse

Schema = dict[str, Any]
_EXTRA: Final = "additionalProperties"


class Call(NamedTuple):
    """A function and its arguments."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What a turn comes down to.

    Attributes:
        text: what it says beside the calls.
        calls: the calls that can be carried out, in order.
        faults: why others cannot, a sentence each.
    """

    text: str
    calls: tuple[Call, ...]
    faults: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether there is something to carry out or to read, and nothing wrong."""
        return not self.faults and bool(self.calls or self.text)


@dataclass(frozen=True)
class Marks:
    """How the first turn at a task compares with what was wanted.

    Attributes:
        wanted: whether a call was wanted at all.
        valid: every call has the form and fits the schema of a tool that is offered.
        called: whether it calls something.
        named: it calls the right functions.
        right: with the right arguments; without a call where none is wanted.
    """

    wanted: bool
    valid: bool
    called: bool
    named: bool
    right: bool


@dataclass(frozen=True)
class Metrics:
    """Shares of turns, each in [0, 1]; None where there was nothing to count.

    Attributes:
        calls: of the requests that need a tool, those with the right functions called.
        arguments: of the same, those with the right arguments too.
        no_call: of the others, those without a call.
        format: of all, those with valid turns.
    """

    calls: float | None
    arguments: float | None
    no_call: float | None
    format: float | None


def read(text: str, tools: Sequence[Schema]) -> Answer:
    """Read a turn and check its calls against the tools, before anything is carried out."""
    message = parse(said(text))
    calls, faults = [], [fault["error"] or "unreadable" for fault in message.invalid_tool_calls]
    for made in message.tool_calls:
        call = Call(made["name"], made["args"])
        wrong = faults_of(call, tools)
        faults += wrong
        if not wrong:
            calls.append(call)
    return Answer(_text(message), tuple(calls), tuple(faults))


def faults_of(call: Call, tools: Sequence[Schema]) -> list[str]:
    """Say what is wrong with a call: unknown tool; missing, extra or mistyped arguments."""
    schemas = {tool["name"]: tool["parameters"] for tool in tools}
    if call.name not in schemas:
        return [f"There is no tool {call.name[:80]!r}. There are: {', '.join(schemas)}."]
    # What a tool does not take is a mistake, whether or not its schema says so.
    schema = {_EXTRA: False, **schemas[call.name]}
    errors = Draft202012Validator(schema).iter_errors(call.arguments)
    return sorted(f"{_where(error.path)}{error.message[:200]}." for error in errors)


def mark(text: str, wanted: Sequence[Call], tools: Sequence[Schema]) -> Marks:
    """Mark a first turn; the order of several calls does not matter."""
    answer = read(text, tools)
    names = sorted(call.name for call in answer.calls) == sorted(call.name for call in wanted)
    return Marks(
        wanted=bool(wanted),
        valid=answer.valid,
        called=bool(answer.calls or answer.faults),
        named=answer.valid and names,
        right=answer.valid and same(answer.calls, wanted),
    )


def same(calls: Sequence[Call], wanted: Sequence[Call]) -> bool:
    """Whether two lists hold the same calls; 1 and 1.0 are the same, 1 and true are not."""
    left = [_exact(call) for call in calls]
    right = [_exact(call) for call in wanted]
    return len(left) == len(right) and all(left.count(one) == right.count(one) for one in left)


def metrics(marks: Iterable[Marks]) -> Metrics:
    """Count marks together."""
    listed = list(marks)
    needing = [one for one in listed if one.wanted]
    others = [one for one in listed if not one.wanted]
    return Metrics(
        calls=_share([one.named for one in needing]),
        arguments=_share([one.right for one in needing]),
        no_call=_share([not one.called for one in others]),
        format=_share([one.valid for one in listed]),
    )


def _exact(value: Any) -> Any:
    """Return a value in a form in which true is not 1."""
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
