"""A graph that raises any error of the hierarchy, by name."""

from __future__ import annotations

import inspect
from typing import TypedDict

from langgraph.graph import START, StateGraph

from apprentice.state import errors
from apprentice.state.errors import (
    ApprenticeError,
    ContextOverflow,
    OutOfBounds,
    UnknownName,
)


class Failing(TypedDict):
    """Which error to raise."""

    error: str


ERRORS: dict[str, ApprenticeError] = {
    "ContextOverflow": ContextOverflow("local:x", 9, 8),
    "OutOfBounds": OutOfBounds("The share", 2.0, 0.0, 1.0),
    "UnknownName": UnknownName("environment", "hous", ["house"]),
}
ERRORS |= {
    name: kind("Say what is missing and what to do.")
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, ApprenticeError) and name not in ERRORS
}


async def fail(state: Failing) -> Failing:
    """Raise the error that was asked for."""
    raise ERRORS[state["error"]]


failing = StateGraph(Failing).add_node(fail).add_edge(START, "fail").compile(name="failing")
