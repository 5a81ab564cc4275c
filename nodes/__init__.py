"""What happens at a step: each module is named after its node, a verb.

A node that needs something of the caller (an agent, a judge, a workspace) is made by a function,
such as `act_with` or `record_in`, which returns a `Node`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, TypeVar

from langgraph.runtime import Runtime

from apprentice.state.context import Context

State = TypeVar("State", contravariant=True)
Update = TypeVar("Update", covariant=True)


class Node(Protocol[State, Update]):
    """A step of a graph: it reads the state and returns the changes."""

    def __call__(self, state: State, runtime: Runtime[Context]) -> Awaitable[Update]:
        """Take the step."""
