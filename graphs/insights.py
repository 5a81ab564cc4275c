"""Insights: draw insights from reports with outcomes, and let people promote, demote and edit them.

START -> receive -> draw -> weigh -> review -> propose -> END
                     ^        |      ^    |
                     +--------+      +amend               (the next report; a person's changes)

An insight is a rule in its own rulebook. A report's outcome is a vote for it or against it, and a
person may set its weight. The log has who did what and why. A model's text that is more than a
plain sentence waits for a person. `review` interrupts the run, unless the input switches it off.

Hosted and larger local models can draw insights; the embedded model cannot.

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
        workspace: has the models; by default, the workspace of this process.
        analyst: draws insights and proposes the experiment; by default, the model that the run's
            context names.

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
