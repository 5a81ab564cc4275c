"""ExpeL: gather attempts, compare successes with failures, curate rules, and release what helps.

START -> sample -> weigh -> gather* -> extract -> curate -> propose -> publish -> END
                     |                                       ^ |  |      ^
                     +---------------------------------------+ |  v      |
                            (no tasks)                         | validate <-> compare*
                                                               v  ^
                                                              review   (a person is asked)

`gather` runs the reflexion graph on one training task, and `compare` runs the episode graph on one
held-out task. The run's `max_concurrency` limits how many of them run at the same time. Training
attempts are recorded like all others, so that people can look up a rule's evidence. The log has the
draft of the rules; agents are shown released rules only.

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
from apprentice.nodes.expel.extract import extract_for
from apprentice.nodes.expel.gather import gather_with, spread
from apprentice.nodes.expel.propose import propose
from apprentice.nodes.expel.publish import publish
from apprentice.nodes.expel.review import review
from apprentice.nodes.expel.sample import sample_in
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
    """Wire a run; it needs a store, and a review by a person also needs a checkpointer.

    Args:
        workspace: provides all that is not given; by default, the workspace of this process.
        agent: acts; by default, the model that the run's context names.
        judge: has the last word on an attempt; by default, the environment.
        reflector: writes reflections; by default, the context's model.
        critic: writes rule operations; by default, the context's model.
        record_to: opens a tenant's experience memory, in which training attempts are recorded; by
            default, only the run's findings have them.

    Example:
        async with workspace.store() as store:
            graph = build_expel(workspace=workspace).compile(store=store)
            result = await graph.ainvoke({"environment": "household/north/small"})
        print(result["outcome"], result["reason"])
    """
    own = workspace or default()
    reflexion_graph = reflexion.build(
        workspace=own, agent=agent, judge=judge, reflector=reflector, record_to=record_to
    ).compile(name="reflexion")
    episode_graph = episode.build(workspace=own, agent=agent, judge=judge).compile(
        name="episode", checkpointer=False
    )
    return (
        Technique(ExpelState, Context, input_schema=ExpelInput, output_schema=ExpelOutput)
        .add_node("sample", sample_in(own))
        .add_node(weigh)
        .add_node("gather", gather_with(reflexion_graph))
        .add_node("extract", extract_for(critic, own))
        .add_node("curate", curate_with(critic, own), retry_policy=RETRY)
        .add_node(propose)
        .add_node(review)
        .add_node("validate", validate_in(own))
        .add_node("compare", compare_with(episode_graph))
        .add_node(publish)
        .add_edge(START, "sample")
        .add_edge("sample", "weigh")
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
