"""adapt: turn a solved case into a plan for the current task.

Case-based reasoning's second step, reuse (Aamodt and Plaza 1994).
"""

from __future__ import annotations

import asyncio

from langchain_core.messages import HumanMessage
from langgraph.runtime import Runtime

from apprentice.nodes import Node
from apprentice.nodes.agents import Agent, ask
from apprentice.nodes.ask_memory import texts
from apprentice.state.context import Context
from apprentice.state.exemplar import ExemplarState, ExemplarUpdate
from apprentice.state.prompts import adapt_prompt as prompt
from apprentice.state.trajectory import Task, text_of
from apprentice.workspace import Workspace


def adapt_with(planner: Agent | None, workspace: Workspace) -> Node[ExemplarState, ExemplarUpdate]:
    """Return the node in which a model, or the caller's own planner, adapts the best case."""

    def start(task: Task) -> HumanMessage:
        return workspace.episodes.start(workspace.environment(task.environment), task)

    async def adapt(state: ExemplarState, runtime: Runtime[Context]) -> ExemplarUpdate:
        """Adapt the most relevant solution to the new task; an empty plan changes nothing."""
        case = texts(state.recollections, "tasks", success=True)[0]
        opening = await asyncio.to_thread(start, state.task)
        reply = await ask(
            planner,
            prompt(text_of(opening), case),
            Context.of(runtime),
            workspace,
            graph="exemplar",
            environment=state.task.environment,
        )
        plan = text_of(reply.message).strip()
        runtime.stream_writer({"type": "exemplar.adapted", "task": state.task.id, "plan": plan})
        return {"plan": plan, "plan_usage": reply.usage}

    return adapt
