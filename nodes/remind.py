"""remind: what was done in other tasks at a moment like this one."""

from __future__ import annotations

from langgraph.runtime import Runtime

from apprentice.memory.experience import OpenExperience
from apprentice.nodes import Node
from apprentice.nodes.recollection import similar_steps
from apprentice.state.context import Context
from apprentice.state.episode import EpisodeState, EpisodeUpdate
from apprentice.state.nouns import text_of
from apprentice.workspace import Workspace


def remind_from(
    recall_from: OpenExperience, workspace: Workspace
) -> Node[EpisodeState, EpisodeUpdate]:
    """Return the node that recalls moments by what was seen last, for the next turn alone."""

    async def remind(state: EpisodeState, runtime: Runtime[Context]) -> EpisodeUpdate:
        """Recall what was done when something like this was seen."""
        await workspace.ready()
        context = workspace.resolved(Context.of(runtime))
        if not context.similar_steps:
            return {}
        found = await similar_steps(
            recall_from, state.task, context, workspace, text_of(state.messages[-1])
        )
        ids = [each.trajectory for each in found]
        runtime.stream_writer(
            {"type": "exemplar.similar_steps", "task": state.task.id, "from": ids}
        )
        seen = tuple(dict.fromkeys([*state.in_view.exemplars, *ids]))
        return {
            "similar_steps": [each.text for each in found],
            "in_view": state.in_view.model_copy(update={"exemplars": seen}),
        }

    return remind
