"""record: every attempt is remembered with its outcome."""

from __future__ import annotations

from langgraph.runtime import Runtime

from nodes import Node
from nodes.experience import Memory, kept
from state.context import Context
from state.reflexion import ReflexionState, ReflexionUpdate


def recording(memory: Memory) -> Node[ReflexionState, ReflexionUpdate]:
    """Return the node that keeps a run's attempts so far; again it changes nothing."""

    async def record(state: ReflexionState, runtime: Runtime[Context]) -> ReflexionUpdate:
        """Remember what was attempted."""
        experience = await kept(memory, runtime)
        if experience:
            done = await experience.record(state.attempts)
            event = {"type": "reflexion.recorded", "task": state.task.id}
            runtime.stream_writer({**event, "trajectories": list(done.new)})
        return {}

    return record
