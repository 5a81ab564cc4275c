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
        """Remember the attempt."""
        kept = await memory(Context.of(runtime).tenant)
        done = await kept.record(state.attempts)
        ids = [attempt.id for attempt in state.attempts]
        event = {"type": "exemplar.recorded", "task": state.task.id, "trajectories": ids}
        runtime.stream_writer({**event, "new": len(done.new)})
        return {}

    return record
