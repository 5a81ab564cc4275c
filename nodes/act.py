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
    """Return the node in which the agent, or the context's model, takes its turn."""

    async def act(state: EpisodeState, runtime: Runtime[Context]) -> EpisodeUpdate:
        """Ask for the next turn."""
        context = Context.of(runtime)
        if context.adapter != state.adapter:
            context = replace(context, adapter=state.adapter)
        reply = await ask(
            agent,
            visible_messages(state, workspace),
            context,
            workspace,
            graph="episode",
            environment=state.task.environment,
        )
        return {"messages": [reply.message], "usage": state.usage + reply.usage}

    return act


def visible_messages(state: EpisodeState, workspace: Workspace) -> list[AnyMessage]:
    """Return what the agent reads: the transcript, with similar steps in the first message.

    The similar steps are shown for this turn only. The transcript does not contain them, so they
    do not affect how an episode is replayed, forked or learned from.
    """
    if not state.similar_steps:
        return state.messages
    view = replace(state.view, steps=[*state.view.steps, *state.similar_steps])
    instructions = workspace.environment(state.task.environment).instructions
    return [prompt(instructions, view, "")[0], *state.messages[1:]]
