"""draw: a report becomes an insight, or is found to say what one says already."""

from __future__ import annotations

from collections.abc import Iterable

from langgraph.runtime import Runtime

from apprentice.nodes import Node
from apprentice.nodes.agents import Agent
from apprentice.nodes.insights import consult, log, run_of
from apprentice.state.context import Context
from apprentice.state.insight_prompts import draw_prompt as prompt
from apprentice.state.insights import InsightDraft, InsightReport, InsightsState, InsightsUpdate
from apprentice.state.nouns import text_of
from apprentice.state.rulebook import Batch, Rulebook, parse_operations
from apprentice.workspace import Workspace


def draw_with(analyst: Agent | None, workspace: Workspace) -> Node[InsightsState, InsightsUpdate]:
    """Return the node in which a model, or the caller's own analyst, draws an insight."""

    async def draw(state: InsightsState, runtime: Runtime[Context]) -> InsightsUpdate:
        """Draw an insight from the next report; one that was drawn before is looked up."""
        report = state.reports[state.reports_done]
        memory = log(runtime, state.collection_name)
        usage = state.usage
        drawn = drawn_before(report, await memory.batches())
        if drawn is None:
            book = await memory.load()
            shown = [rule.text for rule in book.strongest()]
            asked = prompt(report, shown)
            reply = await consult(analyst, asked, Context.of(runtime), workspace)
            drawn, usage = read_drawn(text_of(reply.message), book), usage + reply.usage
        event = {
            "type": "insights.drawn",
            "report": state.reports_done + 1,
            "of": len(state.reports),
        }
        runtime.stream_writer({**event, **drawn.model_dump()})
        return {"draft": drawn, "usage": usage}

    return draw


def drawn_before(report: InsightReport, batches: Iterable[Batch]) -> InsightDraft | None:
    """Find the insight that a report led to when it was sent before."""
    for batch in batches:
        if batch.run == run_of(report):
            return InsightDraft(insight=batch.operations[0].rule)
    return None


def read_drawn(text: str, book: Rulebook) -> InsightDraft:
    """Read the one operation that a report calls for: an insight to ADD, or a number to AGREE."""
    parsed = parse_operations(text)
    if parsed.rejections:
        first = parsed.rejections[0]
        return InsightDraft(text=first.written, problem=first.reason)
    operation, *more = parsed.operations
    if more or operation.kind not in ("ADD", "AGREE"):
        problem = "A report gives one insight, with ADD, or names one, with AGREE."
        return InsightDraft(text=str(operation), problem=problem)
    if operation.kind == "ADD":
        return InsightDraft(text=operation.text)
    if (operation.number or 0) > len(book.strongest()):
        problem = f"There is no insight {operation.number}; {len(book.strongest())} were shown."
        return InsightDraft(text=str(operation), problem=problem)
    applied = book.apply([operation])
    if applied.rejections:
        return InsightDraft(text=str(operation), problem=applied.rejections[0].reason)
    return InsightDraft(insight=applied.operations[0].rule)
