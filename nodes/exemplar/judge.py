"""judge: read the outcome from the attempt's verdict."""

from __future__ import annotations

from langgraph.runtime import Runtime

from apprentice.memory.showings import Showings
from apprentice.nodes.judge import with_person_verdict
from apprentice.state.context import Context
from apprentice.state.exemplar import ExemplarOutcome, ExemplarState, ExemplarUpdate
from apprentice.state.trajectory import Verdict


async def judge(state: ExemplarState, runtime: Runtime[Context]) -> ExemplarUpdate:
    """Read the outcome from the verdict; without one it is neither success nor failure."""
    attempt, context = state.attempts[-1], Context.of(runtime)
    if context.judge == "person":
        attempt = with_person_verdict(attempt)
    verdict = attempt.verdict
    runtime.stream_writer(
        {
            "type": "exemplar.attempt",
            "task": state.task.id,
            "success": verdict.success,
            "score": verdict.score,
            "feedback": verdict.feedback,
        }
    )
    await Showings(runtime.store, context.tenant, state.task.environment).add(attempt)
    return {"attempts": [attempt], "verdict": verdict, "outcome": outcome(verdict)}


def outcome(verdict: Verdict) -> ExemplarOutcome:
    """Name how an attempt ended."""
    names: dict[bool | None, ExemplarOutcome] = {True: "solved", False: "failed", None: "unjudged"}
    return names[verdict.success]
