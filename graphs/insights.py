"""Insights: reports with outcomes become insights that people promote, demote and edit.

START -> receive -> draw -> weigh -> review -> propose -> END
                     ^        |      ^    |
                     +--------+      +amend               (the next report; a person's changes)

An insight is a rule in a rulebook of its own: a report's outcome is a vote for it or against it, a
person's word sets it, and the log keeps who did what and why. What a model wrote and what is more
than a plain sentence waits for a person. `review` interrupts; asked not to, the run goes on.

Hosted and larger local models draw insights; the embedded one has not learned to.

Source: the aggregation of insights across experiences, Zhao et al. 2023, arXiv 2308.10144.
"""

from __future__ import annotations

from langgraph.graph import START

from apprentice.graphs.technique import Technique
from apprentice.nodes.agents import RETRY, Agent
from apprentice.nodes.insights.amend import amend
from apprentice.nodes.insights.draw import draw_with
from apprentice.nodes.insights.propose import propose_with
from apprentice.nodes.insights.receive import receive
from apprentice.nodes.insights.review import review
from apprentice.nodes.insights.weigh import weigh
from apprentice.state.context import Context
from apprentice.state.insights import InsightsInput, InsightsOutput, InsightsState
from apprentice.workspace import Workspace, default

Insights = Technique[InsightsState, InsightsInput, InsightsOutput]


def build(*, workspace: Workspace | None = None, analyst: Agent | None = None) -> Insights:
    """Wire the graph.

    Args:
        workspace: has the models; that of this process when none is given.
        analyst: who draws insights and proposes the experiment; the model that the run's context
            names when none is given.

    Example:
        async with workspace.store() as store:
            graph = build_insights(workspace=workspace).compile(store=store)
            result = await graph.ainvoke({"reports": reports})
        print(result["experiment"])
    """
    own = workspace or default()
    return (
        Technique(InsightsState, Context, input_schema=InsightsInput, output_schema=InsightsOutput)
        .add_node(receive)
        .add_node("draw", draw_with(analyst, own), retry_policy=RETRY)
        .add_node(weigh)
        .add_node(review)
        .add_node(amend)
        .add_node("propose", propose_with(analyst, own), retry_policy=RETRY)
        .add_edge(START, "receive")
        .add_edge("draw", "weigh")
    )


graph = build().compile(name="insights")
