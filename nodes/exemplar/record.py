"""record: the attempt is remembered with its outcome."""

from __future__ import annotations

from langgraph.runtime import Runtime

from apprentice.nodes import Node
from apprentice.nodes.experience import Memory
from apprentice.nodes.record import remember
from apprentice.state.context import Context
from apprentice.state.exemplar import ExemplarState, ExemplarUpdate


def recording(memory: Memory) -> Node[ExemplarState, ExemplarUpdate]:
    """Return the node that keeps a run's attempt; again it changes nothing."""

    async def record(state: ExemplarState, runtime: Runtime[Context]) -> ExemplarUpdate:
        """Remember the attempt, unless the run's settings say otherwise."""
        context = Context.of(runtime)
        if context.record:
            experience = await memory(context.tenant)
            await remember(experience, state.attempts, runtime, memory, "exemplar")
        return {}

    return record
