"""gather: attempt each training task with reflexion, and store the attempts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send

from apprentice.nodes import Node
from apprentice.nodes.stores import findings_of
from apprentice.state.context import Context
from apprentice.state.critique import TaskAttempts
from apprentice.state.expel import ExpelState, ExpelUpdate, ForTask

ATTEMPTS: Final = 4
"""At most this many attempts at a training task, as in ExpeL; a run's settings may allow fewer."""


def spread(state: ExpelState) -> list[Send] | str:
    """Send each task to its own `gather`; without tasks, go on with the draft as it is."""
    if not state.tasks_drawn:
        return "propose"
    return [Send("gather", ForTask(state.run_name, task)) for task in state.tasks_drawn]


def gather_with(
    reflexion: CompiledStateGraph[Any, Context, Any, Any],
) -> Node[ForTask, ExpelUpdate]:
    """Return the node that runs reflexion on one task as a subgraph."""

    async def gather(state: ForTask, runtime: Runtime[Context]) -> ExpelUpdate:
        """Attempt one task until it is solved or out of trials; a restart repeats no attempt."""
        context = Context.of(runtime)
        findings = findings_of(runtime, state.task.environment, state.run_name, TaskAttempts)
        attempts = await findings.get(state.task.id)
        if attempts is None:
            result = await reflexion.ainvoke(
                {"task": state.task, "run": state.run_name, "afresh": True},
                context=replace(context, max_trials=min(context.max_trials, ATTEMPTS)),
            )
            attempts = TaskAttempts(
                task=result["task"], outcome=result["outcome"], attempts=tuple(result["attempts"])
            )
            await findings.add(state.task.id, attempts)
        runtime.stream_writer(
            {
                "type": "expel.gathered",
                "task": state.task.id,
                "outcome": attempts.outcome,
                "trials": len(attempts.attempts),
            }
        )
        return {}

    return gather
