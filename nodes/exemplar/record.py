"""record: the attempt is remembered with its outcome."""

from __future__ import annotations

from langgraph.runtime import Runtime

from nodes import Node
from nodes.experience import Memory
from state.context import Context
from state.exemplar import ExemplarState, ExemplarUpdate


def recording(memory: Memory) -> Node[ExemplarState, ExemplarUpdate]:
    """Return the node that keeps a run's attempt; again it changes nothing."""

    async def record(state: ExemplarState, runtime: Runtime[Context]) -> ExemplarUpdate:
        """Remember the attempt, unless the run's settings say otherwise."""
        context = Context.of(runtime)
        if context.record:
            done = await (await memory(context.tenant)).record(state.attempts)
            event = {"type": "exemplar.recorded", "task": state.task.id}
            runtime.stream_writer({**event, "trajectories": list(done.new)})
        return {}

    return record
