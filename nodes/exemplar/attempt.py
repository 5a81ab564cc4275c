"""attempt: one episode, with what was recalled in view."""

from __future__ import annotations

from typing import Any

from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from apprentice.nodes import Node
from apprentice.nodes.attempt import attempted, with_view
from apprentice.nodes.recollection import shown, together
from apprentice.state.context import Context
from apprentice.state.exemplar import ExemplarState, ExemplarUpdate
from apprentice.workspace import Workspace


def attempt_with(
    episode: CompiledStateGraph[Any, Context, Any, Any], workspace: Workspace
) -> Node[ExemplarState, ExemplarUpdate]:
    """Return the node that runs an episode as a subgraph; the finished attempt is kept whole."""

    async def attempt(state: ExemplarState, runtime: Runtime[Context]) -> ExemplarUpdate:
        """Attempt the task with what was recalled in view."""
        view = together(state.background, shown(state.recollections, state.plan))
        await workspace.ready()
        context = workspace.resolved(Context.of(runtime))
        done = await attempted(episode, state.task, view, context, run=state.run_name)
        ids = [each.trajectory for each in state.recollections]
        seen = tuple(dict.fromkeys([*ids, *done.in_view.exemplars]))
        spent = done.usage + state.plan_usage
        attempt = with_view(done, exemplars=seen).model_copy(update={"usage": spent})
        return {"attempts": [attempt]}

    return attempt
