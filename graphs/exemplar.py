"""Exemplar: an attempt that is shown what worked before in similar tasks, and is remembered.

START -> recall -> attempt -> judge -> record -> END
            |         ^
            +> adapt -+                               (a plan is made of the best case)

`attempt` runs the episode graph, which recalls similar steps in every turn if the context's
`similar_steps` asks for them. What recalls and records is whatever opens a tenant's.

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
from apprentice.nodes.exemplar.recall import recall_with
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
        workspace: has all that is not given; that of this process when none is given.
        agent: who acts; the model that the run's context names when none is given.
        judge: who has the last word on an attempt; the environment when none is given.
        planner: who adapts a case to the task; the context's model when none is given.
        recall_from: opens a tenant's experience, from which cases are recalled; that of the
            workspace when none is given.
        record_to: opens a tenant's experience, in which the attempt is recorded; that of the
            workspace when none is given.

    Example:
        async with workspace.store() as store:
            graph = build_exemplar(workspace=workspace).compile(store=store)
            result = await graph.ainvoke({"task": task}, context=Context(exemplars=5))
        print(result["outcome"], len(result["recollections"]))
    """
    own = workspace or default()
    source, target = recall_from or own.experience, record_to or own.experience
    attempted = episode.build(workspace=own, agent=agent, judge=judge, recall_from=source).compile(
        name="episode", checkpointer=False
    )
    return (
        Technique(ExemplarState, Context, input_schema=ExemplarInput, output_schema=ExemplarOutput)
        .add_node("recall", recall_with(source, target, own), destinations=("adapt", "attempt"))
        .add_node("adapt", adapt_with(planner, own), retry_policy=RETRY)
        .add_node("attempt", attempt_with(attempted, own))
        .add_node("judge", decide)
        .add_node("record", record_in(target, own))
        .add_edge(START, "recall")
        .add_edge("adapt", "attempt")
        .add_edge("attempt", "judge")
        .add_edge("judge", "record")
        .add_edge("record", END)
    )


graph = build().compile(name="exemplar")
