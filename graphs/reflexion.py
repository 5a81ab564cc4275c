"""Reflexion: try, judge, reflect, and try again with the lesson in view.

START -> recall -> attempt -> judge -> record -> END    (solved, or out of trials)
            |         ^         |
            v         +-reflect-+                       (failed; recorded at the same time)
           END                                          (solved before, or to be skipped)

`attempt` runs the episode graph. Within it a finished attempt is the unit of resumption; the
episode graph alone is checkpointed at every step.

Source: Shinn et al. 2023, arXiv 2303.11366.
"""

from __future__ import annotations

from langgraph.graph import START

from apprentice.graphs import episode
from apprentice.graphs.technique import Technique
from apprentice.nodes.agents import RETRY, Agent
from apprentice.nodes.attempt import attempting
from apprentice.nodes.experience import Memory, experience
from apprentice.nodes.grade import Judge
from apprentice.nodes.judge import judge as decide
from apprentice.nodes.recall import recall
from apprentice.nodes.record import recording
from apprentice.nodes.reflect import writing
from apprentice.state.context import Context
from apprentice.state.reflexion import ReflexionInput, ReflexionOutput, ReflexionState

Reflexion = Technique[ReflexionState, ReflexionInput, ReflexionOutput]


def build(
    agent: Agent | None = None,
    judge: Judge | None = None,
    reflector: Agent | None = None,
    memory: Memory | None = None,
) -> Reflexion:
    """Wire the loop; only the judge node chooses the next step.

    Args:
        agent: who acts; the model that the run's context names when none is given.
        judge: who has the last word on an attempt; the environment when none is given.
        reflector: who writes reflections; the context's model when none is given.
        memory: opens a tenant's experience, in which attempts are recorded; when none is given,
            they are not. What a run recorded before it was killed it does not attempt again.
    """
    attempted = episode.build(agent, judge).compile(name="episode", checkpointer=False)
    graph = (
        Technique(
            ReflexionState, Context, input_schema=ReflexionInput, output_schema=ReflexionOutput
        )
        .add_node(recall)
        .add_node("attempt", attempting(attempted, memory))
        .add_node("judge", decide)
        .add_node("reflect", writing(reflector, memory), retry_policy=RETRY)
        .add_edge(START, "recall")
        .add_edge("attempt", "judge")
        .add_edge("reflect", "attempt")
    )
    if memory:
        # Whatever judge chooses is done meanwhile.
        graph.add_node("record", recording(memory)).add_edge("judge", "record")
    return graph


graph = build(memory=experience).compile(name="reflexion")
