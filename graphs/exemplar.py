"""Exemplar: an attempt that is shown what worked before in similar tasks, and is remembered.

START -> recall -> attempt -> judge -> record -> END
            |         ^
            +> adapt -+                               (a plan is made of the best case)

`attempt` runs the episode graph, which is reminded in every turn of what was done at similar
moments, where the context asks for moments. A custom memory is whatever opens a tenant's.

Sources: retrieved demonstrations, Liu et al. 2022 (arXiv 2101.06804) and, for agents, Zhao et al.
2023 (arXiv 2308.10144); the cycle of case-based reasoning, Aamodt and Plaza 1994.
"""

from __future__ import annotations

from langgraph.graph import END, START

from apprentice.graphs import episode
from apprentice.graphs.technique import Technique
from apprentice.nodes.agents import RETRY, Agent
from apprentice.nodes.exemplar.adapt import adapting
from apprentice.nodes.exemplar.attempt import attempting
from apprentice.nodes.exemplar.judge import judge as decide
from apprentice.nodes.exemplar.recall import recalling
from apprentice.nodes.exemplar.record import recording
from apprentice.nodes.experience import Memory, experience
from apprentice.nodes.grade import Judge
from apprentice.state.context import Context
from apprentice.state.exemplar import ExemplarInput, ExemplarOutput, ExemplarState

Exemplar = Technique[ExemplarState, ExemplarInput, ExemplarOutput]


def build(
    agent: Agent | None = None,
    judge: Judge | None = None,
    planner: Agent | None = None,
    memory: Memory = experience,
) -> Exemplar:
    """Wire the technique.

    Args:
        agent: who acts; the model that the run's context names when none is given.
        judge: who has the last word on an attempt; the environment when none is given.
        planner: who adapts a case to the task; the context's model when none is given.
        memory: opens a tenant's experience; the one that this process keeps when none is given.
    """
    attempted = episode.build(agent, judge, memory).compile(name="episode", checkpointer=False)
    return (
        Technique(ExemplarState, Context, input_schema=ExemplarInput, output_schema=ExemplarOutput)
        .add_node("recall", recalling(memory), destinations=("adapt", "attempt"))
        .add_node("adapt", adapting(planner), retry_policy=RETRY)
        .add_node("attempt", attempting(attempted))
        .add_node("judge", decide)
        .add_node("record", recording(memory))
        .add_edge(START, "recall")
        .add_edge("adapt", "attempt")
        .add_edge("attempt", "judge")
        .add_edge("judge", "record")
        .add_edge("record", END)
    )


graph = build().compile(name="exemplar")
