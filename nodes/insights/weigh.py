"""weigh: an insight enters the book, and its report's outcome promotes or demotes it."""

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
    """Log what was drawn and what its outcome says, or keep it from the book for a person."""
    report, drawn = state.reports[state.reports_done], state.draft
    memory = log(runtime, state.collection_name)
    insight, problem = drawn.insight, drawn.problem
    if not insight and not problem:
        insight, problem = await enter(memory, report, drawn.text, author="model")
    quarantined = state.quarantined
    event = {"report": state.reports_done + 1, "of": len(state.reports)}
    if problem:
        stopped = QuarantinedInsight(text=drawn.text, reason=problem, report=report)
        quarantined = [*quarantined, stopped]
        runtime.stream_writer(
            {**event, "type": "insights.quarantined", "text": drawn.text, "reason": problem}
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
    done = state.reports_done + 1
    update: InsightsUpdate = {"reports_done": done, "quarantined": quarantined}
    if done < len(state.reports):
        return Command(update=update, goto="draw")
    return Command(update=update, goto="review" if state.ask_person else "propose")
