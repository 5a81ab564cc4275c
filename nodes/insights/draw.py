"""draw: a report becomes an insight, or is found to say what one says already."""

from __future__ import annotations

from collections.abc import Iterable

from langgraph.runtime import Runtime

from apprentice.nodes import Node
from apprentice.nodes.agents import Agent
from apprentice.nodes.insights import consult, log, run_of
from apprentice.state.context import Context
from apprentice.state.insight_prompts import drawing as prompt
from apprentice.state.insights import Drawn, InsightsState, InsightsUpdate, Report
from apprentice.state.nouns import text_of
from apprentice.state.rulebook import Batch, Rulebook, parse_operations
from apprentice.workspace import Workspace


def draw_with(analyst: Agent | None, workspace: Workspace) -> Node[InsightsState, InsightsUpdate]:
    """Return the node in which a model, or the caller's own analyst, draws an insight."""

    async def draw(state: InsightsState, runtime: Runtime[Context]) -> InsightsUpdate:
        """Draw an insight from the next report; one that was drawn before is looked up."""
        report = state.reports[state.done]
        memory = log(runtime, state.book_name)
        usage = state.usage
        drawn = drawn_before(report, await memory.batches())
        if drawn is None:
            book = await memory.load()
            shown = [rule.text for rule in book.shown()]
            asked = prompt(report, shown)
            reply = await consult(analyst, asked, Context.of(runtime), workspace)
            drawn, usage = read_drawn(text_of(reply.message), book), usage + reply.usage
        event = {"type": "insights.drawn", "report": state.done + 1, "of": len(state.reports)}
        runtime.stream_writer({**event, **drawn.model_dump()})
        return {"drawn": drawn, "usage": usage}

    return draw


def drawn_before(report: Report, batches: Iterable[Batch]) -> Drawn | None:
    """Find the insight that a report led to when it was sent before."""
    for batch in batches:
        if batch.run == run_of(report):
            return Drawn(insight=batch.operations[0].rule)
    return None


def read_drawn(text: str, book: Rulebook) -> Drawn:
    """Read the one operation that a report calls for: an insight to ADD, or a number to AGREE."""
    parsed = parse_operations(text)
    if parsed.rejected:
        first = parsed.rejected[0]
        return Drawn(text=first.written, problem=first.reason)
    operation, *more = parsed.operations
    if more or operation.kind not in ("ADD", "AGREE"):
        problem = "A report gives one insight, with ADD, or names one, with AGREE."
        return Drawn(text=str(operation), problem=problem)
    if operation.kind == "ADD":
        return Drawn(text=operation.text)
    if (operation.number or 0) > len(book.shown()):
        problem = f"There is no insight {operation.number}; {len(book.shown())} were shown."
        return Drawn(text=str(operation), problem=problem)
    applied = book.apply([operation])
    if applied.rejected:
        return Drawn(text=str(operation), problem=applied.rejected[0].reason)
    return Drawn(insight=applied.operations[0].rule)
