"""judge: stop, or learn from the failure and try again."""

from __future__ import annotations

from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from memory.reflections import Reflections
from memory.showings import Showings
from state.context import Context
from state.reflexion import Outcome, ReflexionState


async def judge(
    state: ReflexionState, runtime: Runtime[Context]
) -> Command[Literal["reflect", "attempt", "__end__"]]:
    """Decide from the verdict whether to stop, to reflect, or to try again at once."""
    context = Context.of(runtime)
    last = state.attempts[-1]
    runtime.stream_writer(
        {
            "type": "reflexion.trial",
            "task": state.task.id,
            "trial": state.trials,
            "success": state.verdict.success,
            "score": state.verdict.score,
            "feedback": state.verdict.feedback,
        }
    )
    await Showings(runtime.store, context.tenant, state.task.environment).add(last)
    ended = outcome(state, context)
    if ended is None:
        return Command(goto="reflect") if context.reflects else Command(goto="attempt")
    if ended == "solved":
        await Reflections(runtime.store, context.tenant, state.task).mark_solved(last.id)
    runtime.stream_writer(
        {
            "type": "reflexion.done",
            "task": state.task.id,
            "outcome": ended,
            "trials": state.trials,
        }
    )
    return Command(update={"outcome": ended}, goto="__end__")


def outcome(state: ReflexionState, context: Context) -> Outcome | None:
    """Return how the run ended; None when another attempt is due.

    An attempt that nobody could judge teaches nothing: it is neither success nor failure.
    """
    if state.verdict.success is None:
        return "unjudged"
    if state.verdict.success:
        return "solved"
    return "failed" if state.trials >= context.max_trials else None
