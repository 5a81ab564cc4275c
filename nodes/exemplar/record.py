"""record: store the attempt with its outcome."""

from __future__ import annotations

from langgraph.runtime import Runtime

from apprentice.memory.experience import OpenExperience
from apprentice.nodes import Node
from apprentice.nodes.record import remember
from apprentice.state.context import Context
from apprentice.state.exemplar import ExemplarState, ExemplarUpdate
from apprentice.workspace import Workspace


def record_in(
    record_to: OpenExperience, workspace: Workspace
) -> Node[ExemplarState, ExemplarUpdate]:
    """Return the node that stores a run's attempt; running it again changes nothing."""

    async def record(state: ExemplarState, runtime: Runtime[Context]) -> ExemplarUpdate:
        """Store the attempt, unless the run's settings say otherwise."""
        context = Context.of(runtime)
        if context.record:
            experience = await record_to(context.tenant)
            await remember(experience, state.attempts, runtime, record_to, workspace, "exemplar")
        return {}

    return record
