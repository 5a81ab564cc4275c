"""judge: stop, or learn from the failure and try again."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from apprentice.memory.reflections import Reflections
from apprentice.memory.showings import Showings
from apprentice.nodes.grade import awaits
from apprentice.nodes.person import by_person
from apprentice.state.context import Context
from apprentice.state.reflexion import ReflexionOutcome, ReflexionState, ReflexionUpdate
from apprentice.state.trajectory import Trajectory


async def judge(
    state: ReflexionState, runtime: Runtime[Context]
) -> Command[Literal["reflect", "attempt", "__end__"]]:
    """Decide from the verdict whether to stop, to reflect, or to try again at once."""
    context = Context.of(runtime)
    state = ask_person(state) if context.judge == "person" else state
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
    run_outcome = outcome(state, context)
    update: ReflexionUpdate = {"attempts": state.attempts, "verdict": state.verdict}
    if run_outcome is None:
        learns = context.reflects and not state.verdict.interrupted
        return Command(update=update, goto="reflect" if learns else "attempt")
    if run_outcome == "solved":
        await Reflections(runtime.store, context.tenant, state.task).mark_solved(last.id)
    runtime.stream_writer(
        {
            "type": "reflexion.done",
            "task": state.task.id,
            "outcome": run_outcome,
            "trials": state.trials,
        }
    )
    return Command(update={**update, "outcome": run_outcome}, goto="__end__")


def ask_person(state: ReflexionState) -> ReflexionState:
    """Ask a person for the verdict that the last attempt lacks."""
    last = with_person_verdict(state.attempts[-1])
    return replace(state, attempts=[*state.attempts[:-1], last], verdict=last.verdict)


def with_person_verdict(attempt: Trajectory) -> Trajectory:
    """Ask a person for the verdict of an attempt if it lacks one."""
    if not awaits(attempt.task, attempt.verdict):
        return attempt
    return attempt.model_copy(update={"verdict": by_person(attempt.task, attempt.messages)})


def outcome(state: ReflexionState, context: Context) -> ReflexionOutcome | None:
    """Return how the run ended; None when another attempt is due.

    An attempt without a verdict is neither success nor failure, so nothing is learned from it. An
    interrupted attempt teaches nothing either, but another attempt can take its place.
    """
    if state.verdict.success is None:
        again = state.verdict.interrupted and state.trials < context.max_trials
        return None if again else "unjudged"
    if state.verdict.success:
        return "solved"
    return "failed" if state.trials >= context.max_trials else None
