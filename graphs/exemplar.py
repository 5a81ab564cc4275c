"""Exemplar: attempt a task with what worked in similar tasks in view, and record the attempt.

START -> recall -> attempt -> judge -> record -> END
            |         ^
            +> adapt -+                               (the best case becomes a plan)

`attempt` runs the episode graph. If the context asks for similar steps, each turn recalls them.

Sources: retrieved demonstrations, Liu et al. 2022 (arXiv 2101.06804) and, for agents, Zhao et al.
2023 (arXiv 2308.10144); the cycle of case-based reasoning, Aamodt and Plaza 1994.
"""

from __future__ import annotations

from langgraph.graph import END, START

from apprentice.graphs import episode
from apprentice.graphs.technique import Technique
from apprentice.memory.experience import OpenExperience
from apprentice.nodes.agents import RETRY, Agent
from apprentice.nodes.exemplar.adapt import adapt_with
from apprentice.nodes.exemplar.attempt import attempt_with
from apprentice.nodes.exemplar.judge import judge as decide
from apprentice.nodes.exemplar.recall import recall_in
from apprentice.nodes.exemplar.record import record_in
from apprentice.nodes.grade import Judge
from apprentice.state.context import Context
from apprentice.state.exemplar import ExemplarInput, ExemplarOutput, ExemplarState
from apprentice.workspace import Workspace, default

Exemplar = Technique[ExemplarState, ExemplarInput, ExemplarOutput]


def build(
    *,
    workspace: Workspace | None = None,
    agent: Agent | None = None,
    judge: Judge | None = None,
    planner: Agent | None = None,
    recall_from: OpenExperience | None = None,
    record_to: OpenExperience | None = None,
) -> Exemplar:
    """Wire the technique.

    Args:
        workspace: provides all that is not given; by default, the workspace of this process.
        agent: acts; by default, the model that the run's context names.
        judge: has the last word on an attempt; by default, the environment.
        planner: adapts a case to the task; by default, the context's model.
        recall_from: opens a tenant's experience memory, from which cases are recalled; by default,
            the workspace opens it.
        record_to: opens a tenant's experience memory, in which the attempt is recorded; by default,
            the workspace opens it.

    Example:
        async with workspace.store() as store:
            graph = build_exemplar(workspace=workspace).compile(store=store)
            result = await graph.ainvoke({"task": task}, context=Context(exemplars=5))
        print(result["outcome"], len(result["recollections"]))
    """
    own = workspace or default()
    source, target = recall_from or own.experience, record_to or own.experience
    episode_graph = episode.build(
        workspace=own, agent=agent, judge=judge, recall_from=source
    ).compile(name="episode", checkpointer=False)
    return (
        Technique(ExemplarState, Context, input_schema=ExemplarInput, output_schema=ExemplarOutput)
        .add_node("recall", recall_in(source, target, own), destinations=("adapt", "attempt"))
        .add_node("adapt", adapt_with(planner, own), retry_policy=RETRY)
        .add_node("attempt", attempt_with(episode_graph, own))
        .add_node("judge", decide)
        .add_node("record", record_in(target, own))
        .add_edge(START, "recall")
        .add_edge("adapt", "attempt")
        .add_edge("attempt", "judge")
        .add_edge("judge", "record")
        .add_edge("record", END)
    )


graph = build().compile(name="exemplar")
