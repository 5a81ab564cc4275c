"""What happens at a step: each module is a node, a verb, and what it needs.

A node that depends on the caller's own agent or judge is made by a function, and is then a
`Node`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, TypeVar

from langgraph.runtime import Runtime

from apprentice.state.context import Context

State = TypeVar("State", contravariant=True)
Update = TypeVar("Update", covariant=True)


class Node(Protocol[State, Update]):
    """A step of a graph: reads the state, returns what changes."""

    def __call__(self, state: State, runtime: Runtime[Context]) -> Awaitable[Update]:
        """Take the step."""
