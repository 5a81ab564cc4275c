"""amend: what a person decided is done."""

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
    """Log a person's changes as theirs, and weigh what they let in by its report's outcome."""
    plan, memory = state.plan, log(runtime, state.collection_name)
    if plan.operations:
        await memory.record(
            plan.operations,
            run=state.run_name,
            index=state.rounds,
            author="person",
            reason=plan.reason,
        )
    for admitted in plan.admissions:
        report = state.quarantined[admitted.number - 1].report
        insight, _ = await enter(memory, report, admitted.text, author="person")
        await vote(memory, report, insight)
    runtime.stream_writer(
        {
            "type": "insights.amended",
            "changes": len(plan.operations),
            "admitted": len(plan.admissions),
        }
    )
    let_in = {admitted.number for admitted in plan.admissions}
    left = [each for number, each in enumerate(state.quarantined, 1) if number not in let_in]
    update: InsightsUpdate = {"quarantined": left, "rounds": state.rounds + 1}
    return Command(update=update, goto="propose" if plan.done else "review")
