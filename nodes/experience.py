"""Find the experience memory that records a run's attempts."""

from __future__ import annotations

from langgraph.runtime import Runtime

from apprentice.memory.experience import Experience, OpenExperience
from apprentice.state.context import Context
from apprentice.workspace import Workspace


async def experience_of(
    runtime: Runtime[Context], record_to: OpenExperience | None, workspace: Workspace
) -> Experience | None:
    """Return the experience memory in which a run's attempts are recorded, or None.

    A run records its attempts if the graph has an experience memory and a store, unless the run's
    settings switch it off.
    """
    context = Context.of(runtime)
    if record_to is None or runtime.store is None or not context.record:
        return None
    return await record_to(context.tenant)
