"""recall: look up attempts at similar tasks."""

from __future__ import annotations

import asyncio
from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from apprentice.memory.experience import OpenExperience
from apprentice.nodes import Node
from apprentice.nodes.ask_memory import recollect, texts
from apprentice.nodes.inputs import read_run, read_shown, read_task
from apprentice.state.context import Context
from apprentice.state.exemplar import ExemplarGiven, ExemplarUpdate
from apprentice.state.trajectory import Usage, Verdict
from apprentice.workspace import Workspace

Next = Literal["adapt", "attempt"]


def recall_in(
    recall_from: OpenExperience, record_to: OpenExperience, workspace: Workspace
) -> Node[ExemplarGiven, Command[Next]]:
    """Return the node that asks the experience memory what helps with a task."""

    async def recall(state: ExemplarGiven, runtime: Runtime[Context]) -> Command[Next]:
        """Look up the task, and what was done in similar tasks."""
        await workspace.ready()
        context = workspace.with_model(Context.of(runtime))
        shown = read_shown(state.shown)
        run = read_run(state.run, runtime)
        task = await asyncio.to_thread(read_task, state.task, workspace)
        if context.record:
            # Fail before the attempt if it could not be recorded afterwards.
            await record_to(context.tenant)
        recollections = await recollect(recall_from, task, context, workspace)
        about = {"what", "trajectory", "success", "score", "tokens"}
        runtime.stream_writer(
            {
                "type": "exemplar.recalled",
                "task": task.id,
                "recollections": [each.model_dump(include=about) for each in recollections],
            }
        )
        update: ExemplarUpdate = {
            "task": task,
            "run_name": run,
            "background": shown,
            "recollections": recollections,
            "plan": "",
            "plan_usage": Usage(),
            "attempts": [],
            "verdict": Verdict(),
            "outcome": None,
        }
        adapts = context.adapt and texts(recollections, "tasks", success=True)
        return Command(update=update, goto="adapt" if adapts else "attempt")

    return recall
