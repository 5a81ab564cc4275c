"""review: a person sees each insight with its evidence, and says what to change."""

from __future__ import annotations

from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from apprentice.nodes.insights import log
from apprentice.state.context import Context
from apprentice.state.insight_changes import plan_changes, read_review
from apprentice.state.insights import InsightsState, InsightsUpdate, insights_of, review_question


async def review(
    state: InsightsState, runtime: Runtime[Context]
) -> Command[Literal["review", "amend", "propose"]]:
    """Ask a person, and ask again with the problems while the answer cannot be carried out."""
    memory = log(runtime, state.collection_name)
    rulebook = await memory.load()
    insights = insights_of(rulebook, await memory.batches())
    answer = read_review(interrupt(review_question(insights, state.quarantined, state.problems)))
    plan = answer if isinstance(answer, str) else plan_changes(answer, rulebook, state.quarantined)
    if isinstance(plan, (str, list)):
        problems = [plan] if isinstance(plan, str) else plan
        runtime.stream_writer({"type": "insights.misunderstood", "problems": problems})
        return Command(update=InsightsUpdate(problems=problems), goto="review")
    update: InsightsUpdate = {"plan": plan, "problems": []}
    if plan.operations or plan.admissions:
        return Command(update=update, goto="amend")
    return Command(update=update, goto="propose" if plan.done else "review")
