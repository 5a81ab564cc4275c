"""weigh: enter an insight into the rulebook; its report's outcome promotes or demotes it."""

from __future__ import annotations

from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from apprentice.nodes.insights import enter, log, vote
from apprentice.state.context import Context
from apprentice.state.insights import InsightsState, InsightsUpdate, QuarantinedInsight, standing_of


async def weigh(
    state: InsightsState, runtime: Runtime[Context]
) -> Command[Literal["draw", "review", "propose"]]:
    """Log the insight and its report's outcome, or put it into quarantine for a person."""
    report, draft = state.reports[state.reports_done], state.draft
    memory = log(runtime, state.collection_name)
    insight, problem = draft.insight, draft.problem
    if not insight and not problem:
        insight, problem = await enter(memory, report, draft.text, author="model")
    quarantine = state.quarantined
    event = {"report": state.reports_done + 1, "reports": len(state.reports)}
    if problem:
        entry = QuarantinedInsight(text=draft.text, reason=problem, report=report)
        quarantine = [*quarantine, entry]
        runtime.stream_writer(
            {**event, "type": "insights.quarantined", "text": draft.text, "reason": problem}
        )
    else:
        rule = await vote(memory, report, insight)
        runtime.stream_writer(
            {
                **event,
                "type": "insights.weighed",
                "insight": rule.id,
                "text": rule.text,
                "hit_target": report.hit_target,
                "standing": standing_of(rule.strength),
            }
        )
    reports_done = state.reports_done + 1
    update: InsightsUpdate = {"reports_done": reports_done, "quarantined": quarantine}
    if reports_done < len(state.reports):
        return Command(update=update, goto="draw")
    return Command(update=update, goto="review" if state.ask_person else "propose")
