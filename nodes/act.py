"""act: the agent's turn."""

from __future__ import annotations

from dataclasses import replace

from langchain_core.messages import AnyMessage
from langgraph.runtime import Runtime

from apprentice.nodes import Node
from apprentice.nodes.agents import Agent, ask
from apprentice.state.context import Context
from apprentice.state.episode import EpisodeState, EpisodeUpdate
from apprentice.state.prompts import act_prompt as prompt
from apprentice.workspace import Workspace


def act_with(agent: Agent | None, workspace: Workspace) -> Node[EpisodeState, EpisodeUpdate]:
    """Return the node in which an agent, or the context's model, takes its turn."""

    async def act(state: EpisodeState, runtime: Runtime[Context]) -> EpisodeUpdate:
        """Ask for the next turn."""
        context = Context.of(runtime)
        if context.adapter != state.adapter:
            context = replace(context, adapter=state.adapter)
        reply = await ask(
            agent,
            seen(state, workspace),
            context,
            workspace,
            graph="episode",
            environment=state.task.environment,
        )
        return {"messages": [reply.message], "usage": state.usage + reply.usage}

    return act


def seen(state: EpisodeState, workspace: Workspace) -> list[AnyMessage]:
    """Return what the agent reads: the transcript, with this turn's moments in the first message.

    They are there as in any prompt that shows steps, and gone in the next turn. The transcript
    holds none of them, so an episode is replayed, forked and learned from as without.
    """
    if not state.similar_steps:
        return state.messages
    view = replace(state.view, steps=[*state.view.steps, *state.similar_steps])
    instructions = workspace.environment(state.task.environment).instructions
    return [prompt(instructions, view, "")[0], *state.messages[1:]]
