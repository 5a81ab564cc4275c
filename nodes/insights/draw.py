"""draw: draw an insight from a report, or name the insight that says the same."""

from __future__ import annotations

from collections.abc import Iterable

from langgraph.runtime import Runtime

from apprentice.nodes import Node
from apprentice.nodes.agents import Agent
from apprentice.nodes.insights import consult, log, run_of
from apprentice.state.context import Context
from apprentice.state.insight_prompts import draw_prompt as prompt
from apprentice.state.insights import InsightDraft, InsightReport, InsightsState, InsightsUpdate
from apprentice.state.rulebook import Batch, Rulebook, parse_operations
from apprentice.state.trajectory import text_of
from apprentice.workspace import Workspace


def draw_with(analyst: Agent | None, workspace: Workspace) -> Node[InsightsState, InsightsUpdate]:
    """Return the node in which a model, or the caller's own analyst, draws an insight."""

    async def draw(state: InsightsState, runtime: Runtime[Context]) -> InsightsUpdate:
        """Draw an insight from the next report; look it up if the report was sent before."""
        report = state.reports[state.reports_done]
        memory = log(runtime, state.collection_name)
        usage = state.usage
        draft = earlier_draft(report, await memory.batches())
        if draft is None:
            rulebook = await memory.load()
            shown = [rule.text for rule in rulebook.strongest()]
            question = prompt(report, shown)
            reply = await consult(analyst, question, Context.of(runtime), workspace)
            draft, usage = read_draft(text_of(reply.message), rulebook), usage + reply.usage
        event = {
            "type": "insights.drawn",
            "report": state.reports_done + 1,
            "reports": len(state.reports),
        }
        runtime.stream_writer({**event, **draft.model_dump()})
        return {"draft": draft, "usage": usage}

    return draw


def earlier_draft(report: InsightReport, batches: Iterable[Batch]) -> InsightDraft | None:
    """Return the insight that a report led to when it was sent before."""
    for batch in batches:
        if batch.run == run_of(report):
            return InsightDraft(insight=batch.operations[0].rule)
    return None


def read_draft(text: str, rulebook: Rulebook) -> InsightDraft:
    """Read the one operation that a report calls for: an insight to ADD, or a number to AGREE."""
    answer = parse_operations(text)
    if answer.rejections:
        first = answer.rejections[0]
        return InsightDraft(text=first.written, problem=first.reason)
    operation, *more = answer.operations
    if more or operation.kind not in ("ADD", "AGREE"):
        problem = "A report gives one insight, with ADD, or names one, with AGREE."
        return InsightDraft(text=str(operation), problem=problem)
    if operation.kind == "ADD":
        return InsightDraft(text=operation.text)
    if (operation.number or 0) > len(rulebook.strongest()):
        problem = f"There is no insight {operation.number}; {len(rulebook.strongest())} were shown."
        return InsightDraft(text=str(operation), problem=problem)
    result = rulebook.apply([operation])
    if result.rejections:
        return InsightDraft(text=str(operation), problem=result.rejections[0].reason)
    return InsightDraft(insight=result.operations[0].rule)
