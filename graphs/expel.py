"""ExpeL: gather attempts, compare successes with failures, curate rules, and release what helps.

START -> draw -> weigh -> gather* -> extract -> curate -> propose -> publish -> END
                   |                                       ^ |  |      ^
                   +---------------------------------------+ |  v      |
                          (no tasks)                         | validate <-> compare*
                                                             v  ^
                                                            review   (a person is asked)

`gather` runs the reflexion graph on a training task, `compare` the episode graph on a held-out
one; each is sent to a task at a time, as many at once as the run's `max_concurrency`. Training
attempts are remembered like all others, so that a rule's evidence can be looked up and recalled.
Rules are drafted in the log, and agents see none that is not released.

Source: Zhao et al. 2023, arXiv 2308.10144.
"""

from __future__ import annotations

from typing import Final

from langgraph.graph import END, START

from apprentice.graphs import episode, reflexion
from apprentice.graphs.technique import Technique
from apprentice.memory.experience import OpenExperience
from apprentice.nodes.agents import RETRY, Agent
from apprentice.nodes.expel.curate import curate_with
from apprentice.nodes.expel.draw import draw_in
from apprentice.nodes.expel.extract import extract_for
from apprentice.nodes.expel.gather import gather_with, spread
from apprentice.nodes.expel.propose import propose
from apprentice.nodes.expel.publish import publish
from apprentice.nodes.expel.review import review
from apprentice.nodes.expel.validate import compare_with, validate_in
from apprentice.nodes.expel.weigh import weigh
from apprentice.nodes.grade import Judge
from apprentice.state.context import Context
from apprentice.state.expel import ExpelInput, ExpelOutput, ExpelState
from apprentice.workspace import Workspace, default

CONCURRENCY: Final = 16
Expel = Technique[ExpelState, ExpelInput, ExpelOutput]


def build(
    *,
    workspace: Workspace | None = None,
    agent: Agent | None = None,
    judge: Judge | None = None,
    reflector: Agent | None = None,
    critic: Agent | None = None,
    record_to: OpenExperience | None = None,
) -> Expel:
    """Wire a run; it needs a store, and to be interrupted for a review also a checkpointer.

    Args:
        workspace: has all that is not given; that of this process when none is given.
        agent: who acts; the model that the run's context names when none is given.
        judge: who has the last word on an attempt; the environment when none is given.
        reflector: who writes reflections; the context's model when none is given.
        critic: who writes rule operations; the context's model when none is given.
        record_to: opens a tenant's experience, in which training attempts are recorded; when none
            is given, the run alone keeps them.

    Example:
        async with workspace.store() as store:
            graph = build_expel(workspace=workspace).compile(store=store)
            result = await graph.ainvoke({"environment": "household/north/small"})
        print(result["outcome"], result["reason"])
    """
    own = workspace or default()
    tried = reflexion.build(
        workspace=own, agent=agent, judge=judge, reflector=reflector, record_to=record_to
    ).compile(name="reflexion")
    attempted = episode.build(workspace=own, agent=agent, judge=judge).compile(
        name="episode", checkpointer=False
    )
    return (
        Technique(ExpelState, Context, input_schema=ExpelInput, output_schema=ExpelOutput)
        .add_node("draw", draw_in(own))
        .add_node(weigh)
        .add_node("gather", gather_with(tried))
        .add_node("extract", extract_for(critic, own))
        .add_node("curate", curate_with(critic, own), retry_policy=RETRY)
        .add_node(propose)
        .add_node(review)
        .add_node("validate", validate_in(own))
        .add_node("compare", compare_with(attempted))
        .add_node(publish)
        .add_edge(START, "draw")
        .add_edge("draw", "weigh")
        .add_conditional_edges("weigh", spread, ["gather", "propose"])
        .add_edge("gather", "extract")
        .add_edge("extract", "curate")
        .add_edge("curate", "propose")
        .add_edge("compare", "validate")
        .add_edge("publish", END)
    )


graph = (
    build(record_to=default().experience)
    .compile(name="expel")
    .with_config(max_concurrency=CONCURRENCY)
)
