"""act: the agent's turn."""

from __future__ import annotations

from dataclasses import replace

from langgraph.runtime import Runtime

from nodes import Node
from nodes.agents import Agent, ask
from state.context import Context
from state.episode import EpisodeState, EpisodeUpdate


def acting(agent: Agent | None = None) -> Node[EpisodeState, EpisodeUpdate]:
    """Return the node in which an agent, or the context's model, takes its turn."""

    async def act(state: EpisodeState, runtime: Runtime[Context]) -> EpisodeUpdate:
        """Ask for the next turn."""
        reply = await ask(
            agent,
            state.messages,
            replace(Context.of(runtime), adapter=state.adapter),
            graph="episode",
            environment=state.task.environment,
        )
        return {"messages": [reply.message], "usage": state.usage + reply.usage}

    return act
