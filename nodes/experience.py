"""Where a run's attempts are recorded."""

from __future__ import annotations

from langgraph.runtime import Runtime

from apprentice.memory.experience import Experience, OpenExperience
from apprentice.state.context import Context
from apprentice.workspace import Workspace


async def experience_of(
    runtime: Runtime[Context], record_to: OpenExperience | None, workspace: Workspace
) -> Experience | None:
    """Return where a run's attempts are recorded; None where they are not.

    That is where a graph has a memory and, as with reflections, a store; unless the run's settings
    say otherwise.
    """
    context = Context.of(runtime)
    if record_to is None or runtime.store is None or not context.record:
        return None
    return await record_to(context.tenant)
