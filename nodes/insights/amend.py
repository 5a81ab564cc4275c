"""amend: carry out what a person decided."""

from __future__ import annotations

from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from apprentice.nodes.insights import enter, log, vote
from apprentice.state.context import Context
from apprentice.state.insights import InsightsState, InsightsUpdate


async def amend(
    state: InsightsState, runtime: Runtime[Context]
) -> Command[Literal["review", "propose"]]:
    """Log a person's changes, and weigh what they admitted by its report's outcome."""
    plan, memory = state.plan, log(runtime, state.collection_name)
    if plan.operations:
        await memory.record(
            plan.operations,
            run=state.run_name,
            index=state.rounds,
            author="person",
            reason=plan.reason,
        )
    for admission in plan.admissions:
        report = state.quarantined[admission.number - 1].report
        insight, _ = await enter(memory, report, admission.text, author="person")
        await vote(memory, report, insight)
    runtime.stream_writer(
        {
            "type": "insights.amended",
            "changes": len(plan.operations),
            "admissions": len(plan.admissions),
        }
    )
    let_in = {admission.number for admission in plan.admissions}
    quarantine = [each for number, each in enumerate(state.quarantined, 1) if number not in let_in]
    update: InsightsUpdate = {"quarantined": quarantine, "rounds": state.rounds + 1}
    return Command(update=update, goto="propose" if plan.done else "review")
