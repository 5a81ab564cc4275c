"""attempt: run one episode that shows the recollections."""

from __future__ import annotations

from typing import Any

from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from apprentice.nodes import Node
from apprentice.nodes.ask_memory import join, shown_from
from apprentice.nodes.attempt import run_episode, with_view
from apprentice.state.context import Context
from apprentice.state.exemplar import ExemplarState, ExemplarUpdate
from apprentice.workspace import Workspace


def attempt_with(
    episode: CompiledStateGraph[Any, Context, Any, Any], workspace: Workspace
) -> Node[ExemplarState, ExemplarUpdate]:
    """Return the node that runs an episode as a subgraph and keeps the whole trajectory."""

    async def attempt(state: ExemplarState, runtime: Runtime[Context]) -> ExemplarUpdate:
        """Attempt the task with the recollections in view."""
        view = join(state.background, shown_from(state.recollections, state.plan))
        await workspace.ready()
        context = workspace.with_model(Context.of(runtime))
        episode_attempt = await run_episode(episode, state.task, view, context, run=state.run_name)
        ids = [each.trajectory for each in state.recollections]
        exemplars = tuple(dict.fromkeys([*ids, *episode_attempt.in_view.exemplars]))
        usage = episode_attempt.usage + state.plan_usage
        attempt = with_view(episode_attempt, exemplars=exemplars).model_copy(
            update={"usage": usage}
        )
        return {"attempts": [attempt]}

    return attempt
