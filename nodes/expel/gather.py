"""gather: every training task is attempted, with reflections in between, and all is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send

from apprentice.nodes import Node
from apprentice.nodes.kept import findings_of
from apprentice.state.context import Context
from apprentice.state.critique import TaskAttempts
from apprentice.state.expel import ExpelState, ExpelUpdate, ForTask

ATTEMPTS: Final = 4
"""Attempts at a training task, at most, as in ExpeL; fewer when the run's settings say so."""


def spread(state: ExpelState) -> list[Send] | str:
    """Send each task to a gather of its own; without tasks, the draft is judged as it is."""
    if not state.tasks_drawn:
        return "propose"
    return [Send("gather", ForTask(state.run_name, task)) for task in state.tasks_drawn]


def gather_with(
    reflexion: CompiledStateGraph[Any, Context, Any, Any],
) -> Node[ForTask, ExpelUpdate]:
    """Return the node that runs reflexion on one task as a subgraph."""

    async def gather(state: ForTask, runtime: Runtime[Context]) -> ExpelUpdate:
        """Attempt one task until it is solved or out of trials; a restart repeats nothing."""
        context = Context.of(runtime)
        findings = findings_of(runtime, state.task.environment, state.run_name, TaskAttempts)
        found = await findings.get(state.task.id)
        if found is None:
            ended = await reflexion.ainvoke(
                {"task": state.task, "run": state.run_name, "afresh": True},
                context=replace(context, max_trials=min(context.max_trials, ATTEMPTS)),
            )
            found = TaskAttempts(
                task=ended["task"], outcome=ended["outcome"], attempts=tuple(ended["attempts"])
            )
            await findings.add(state.task.id, found)
        runtime.stream_writer(
            {
                "type": "expel.gathered",
                "task": state.task.id,
                "outcome": found.outcome,
                "trials": len(found.attempts),
            }
        )
        return {}

    return gather
