"""remind: recall similar steps of other tasks for the next turn."""

from __future__ import annotations

from langgraph.runtime import Runtime

from apprentice.memory.experience import OpenExperience
from apprentice.nodes import Node
from apprentice.nodes.ask_memory import similar_steps
from apprentice.state.context import Context
from apprentice.state.episode import EpisodeState, EpisodeUpdate
from apprentice.state.trajectory import text_of
from apprentice.workspace import Workspace


def remind_from(
    recall_from: OpenExperience, workspace: Workspace
) -> Node[EpisodeState, EpisodeUpdate]:
    """Return the node that recalls steps by the last observation, for the next turn only."""

    async def remind(state: EpisodeState, runtime: Runtime[Context]) -> EpisodeUpdate:
        """Recall the steps that followed an observation like the last one."""
        await workspace.ready()
        context = workspace.with_model(Context.of(runtime))
        if not context.similar_steps:
            return {}
        recollections = await similar_steps(
            recall_from, state.task, context, workspace, text_of(state.messages[-1])
        )
        ids = [each.trajectory for each in recollections]
        runtime.stream_writer(
            {"type": "exemplar.similar_steps", "task": state.task.id, "trajectories": ids}
        )
        exemplars = tuple(dict.fromkeys([*state.in_view.exemplars, *ids]))
        return {
            "similar_steps": [each.text for each in recollections],
            "in_view": state.in_view.model_copy(update={"exemplars": exemplars}),
        }

    return remind
