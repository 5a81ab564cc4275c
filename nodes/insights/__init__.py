"""The steps of the insights graph, and what they share: the log, the votes, whom they ask."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AnyMessage
from langgraph.runtime import Runtime

from apprentice.memory.rulebook import RulebookLog
from apprentice.models.names import SHIPPED
from apprentice.nodes.agents import Agent, Reply, ask
from apprentice.state.context import Context
from apprentice.state.errors import BadInput, MissingPart
from apprentice.state.insights import InsightReport
from apprentice.state.rulebook import Author, Operation, Rule, Rulebook
from apprentice.state.rules import likeness
from apprentice.workspace import Workspace


def log(runtime: Runtime[Context], book: str) -> RulebookLog:
    """Return the log of a collection of insights.

    Raises:
        MissingPart: if the graph runs without a store.
    """
    if runtime.store is None:
        raise MissingPart(
            "Insights are kept in a store, and this graph runs without one. The server has one; "
            "elsewhere, compile with it: build().compile(store=InMemoryStore())."
        )
    return RulebookLog(runtime.store, Context.of(runtime).tenant, f"insights:{book}")


async def consult(
    analyst: Agent | None, prompt: Sequence[AnyMessage], context: Context, workspace: Workspace
) -> Reply:
    """Ask the analyst, or the context's model when there is none.

    Raises:
        BadInput: if that is an embedded model.
    """
    await workspace.ready()
    context = workspace.resolved(context)
    if analyst is None and context.model in {f"local:{name}" for name in SHIPPED}:
        raise BadInput(
            f"The embedded model {context.model} knows one kind of task alone and cannot draw "
            "insights from reports. Name another model in the context, such as openai:gpt-4.1-mini."
        )
    return await ask(analyst, prompt, context, workspace, graph="insights")


def run_of(report: InsightReport) -> str:
    """Return the name under which a report's operations are logged, whichever run sent it."""
    return f"report {report.id}"


async def enter(
    memory: RulebookLog, report: InsightReport, text: str, author: Author
) -> tuple[str, str]:
    """Add a report's insight; return its id, or why a person has to look at it.

    An insight that is known is not added twice: the id is that of the one that has the text.
    """
    book = await memory.load()
    if author == "model" and _holder(text, book.retired):
        return "", "It was retired before; a person may revive it."
    applied = await memory.record(
        [Operation(kind="ADD", text=text)],
        run=run_of(report),
        evidence=(report.id,),
        author=author,
    )
    if applied.operations:
        return applied.operations[0].rule, ""
    rejected = applied.rejections[0]
    known = None if rejected.flagged else _holder(text, applied.rulebook.rules)
    return (known, "") if known else ("", rejected.reason)


async def vote(memory: RulebookLog, report: InsightReport, insight: str) -> Rule:
    """Let a report's outcome count for or against its insight, once; return the insight.

    What a person has retired stays so.
    """
    rule = _found(insight, await memory.load())
    if rule.strength == 0:
        return rule
    applied = await memory.record(
        [Operation(kind="AGREE" if report.hit_target else "REMOVE", rule=insight)],
        run=run_of(report),
        index=1 if report.hit_target else 2,
        evidence=(report.id,),
        author="system",
        reason=report.outcome[:2_000],
    )
    return _found(insight, applied.rulebook)


def _holder(text: str, rules: Sequence[Rule]) -> str | None:
    """Find the insight that has a text."""
    for rule in rules:
        if likeness(rule.text) == likeness(text):
            return rule.id
    return None


def _found(insight: str, book: Rulebook) -> Rule:
    wanted = book.merged.get(insight, insight)
    return next(rule for rule in (*book.rules, *book.retired) if rule.id == wanted)
