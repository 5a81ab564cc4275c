"""The steps of the insights graph, and what they share: the log, the votes and the analyst."""

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


def log(runtime: Runtime[Context], collection: str) -> RulebookLog:
    """Return the log of a collection of insights.

    Raises:
        MissingPart: the graph runs without a store.
    """
    if runtime.store is None:
        raise MissingPart(
            "Insights are stored in a LangGraph Store, and this graph runs without one. The server "
            "has a store; elsewhere, compile the graph with one: .compile(store=InMemoryStore())."
        )
    return RulebookLog(runtime.store, Context.of(runtime).tenant, f"insights:{collection}")


async def consult(
    analyst: Agent | None, prompt: Sequence[AnyMessage], context: Context, workspace: Workspace
) -> Reply:
    """Ask the analyst, or the context's model when there is none.

    Raises:
        BadInput: that model is an embedded one.
    """
    await workspace.ready()
    context = workspace.with_model(context)
    if analyst is None and context.model in {f"local:{name}" for name in SHIPPED}:
        raise BadInput(
            f"The embedded model {context.model} only knows its own kind of task and cannot draw "
            "insights from reports. Name another model in the context, such as openai:gpt-4.1-mini."
        )
    return await ask(analyst, prompt, context, workspace, graph="insights")


def run_of(report: InsightReport) -> str:
    """Return the name under which a report's operations are logged, whichever run sent it."""
    return f"report {report.id}"


async def enter(
    memory: RulebookLog, report: InsightReport, text: str, author: Author
) -> tuple[str, str]:
    """Add a report's insight; return its id, or the reason why a person has to look at it.

    A known insight is not added twice: the id is that of the insight with the same text.
    """
    rulebook = await memory.load()
    if author == "model" and _holder(text, rulebook.retired):
        return "", "It was retired before; a person may revive it."
    result = await memory.record(
        [Operation(kind="ADD", text=text)],
        run=run_of(report),
        evidence=(report.id,),
        author=author,
    )
    if result.operations:
        return result.operations[0].rule, ""
    rejection = result.rejections[0]
    holder = None if rejection.flagged else _holder(text, result.rulebook.rules)
    return (holder, "") if holder else ("", rejection.reason)


async def vote(memory: RulebookLog, report: InsightReport, insight: str) -> Rule:
    """Count a report's outcome once, for or against its insight; return the insight.

    An insight that a person retired stays retired.
    """
    rule = _insight(insight, await memory.load())
    if rule.strength == 0:
        return rule
    result = await memory.record(
        [Operation(kind="AGREE" if report.hit_target else "REMOVE", rule=insight)],
        run=run_of(report),
        index=1 if report.hit_target else 2,
        evidence=(report.id,),
        author="system",
        reason=report.outcome[:2_000],
    )
    return _insight(insight, result.rulebook)


def _holder(text: str, rules: Sequence[Rule]) -> str | None:
    """Return the id of the insight with a text, if there is one."""
    for rule in rules:
        if likeness(rule.text) == likeness(text):
            return rule.id
    return None


def _insight(insight: str, rulebook: Rulebook) -> Rule:
    current_id = rulebook.merged.get(insight, insight)
    return next(rule for rule in (*rulebook.rules, *rulebook.retired) if rule.id == current_id)
