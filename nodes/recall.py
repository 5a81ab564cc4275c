"""recall: look up what is known about a task before it is attempted."""

from __future__ import annotations

import asyncio
from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from apprentice.memory.reflections import Reflections
from apprentice.nodes import Node
from apprentice.nodes.inputs import read_flag, read_run, read_shown, read_task
from apprentice.state.context import Context
from apprentice.state.reflexion import ReflexionGiven, ReflexionOutcome, ReflexionUpdate
from apprentice.state.trajectory import Usage, Verdict
from apprentice.workspace import Workspace

Next = Literal["attempt", "__end__"]
WHY = {
    "skipped": "Skipped as requested; not attempted.",
    "solved_before": "Solved before by trajectory {solved_by}; not attempted again.",
}


def recall_in(workspace: Workspace) -> Node[ReflexionGiven, Command[Next]]:
    """Return the node that looks up the task and what is known about it."""

    async def recall(state: ReflexionGiven, runtime: Runtime[Context]) -> Command[Next]:
        """Look up the task and its reflections; end the run if it is solved or skipped."""
        shown = read_shown(state.shown)
        task = await asyncio.to_thread(read_task, state.task, workspace)
        memory = Reflections(runtime.store, Context.of(runtime).tenant, task)
        afresh = read_flag("afresh", state.afresh)
        solved_by = "" if afresh else await memory.solved_by()
        update: ReflexionUpdate = {
            "task": task,
            "run_name": read_run(state.run, runtime),
            "background": shown,
            "attempts": [],
            "reflections": [] if afresh else await memory.all(),
            "trials": 0,
            "verdict": Verdict(),
            "outcome": None,
            "reflection_usage": Usage(),
        }
        outcome: ReflexionOutcome | None = None
        if read_flag("skip", state.skip):
            outcome = "skipped"
        elif solved_by:
            outcome = "solved_before"
        if outcome is None:
            return Command(update=update, goto="attempt")
        success = True if outcome == "solved_before" else None
        feedback = WHY[outcome].format(solved_by=solved_by)
        update["verdict"] = Verdict(success=success, feedback=feedback)
        update["outcome"] = outcome
        runtime.stream_writer(
            {"type": "reflexion.done", "task": task.id, "outcome": outcome, "trials": 0}
        )
        return Command(update=update, goto="__end__")

    return recall
