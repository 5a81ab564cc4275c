"""Reflexion: try, judge, reflect, and try again with the reflection in view.

START -> recall -> attempt -> judge -> record -> END    (solved, or out of trials)
            |         ^         |
            v         +-reflect-+                       (failed; recorded at the same time)
           END                                          (solved before, or skipped)

`attempt` runs the episode graph. A run that is resumed starts its unfinished attempt again. Only an
episode graph that runs by itself has a checkpoint at every step.

Source: Shinn et al. 2023, arXiv 2303.11366.
"""

from __future__ import annotations

from langgraph.graph import START

from apprentice.graphs import episode
from apprentice.graphs.technique import Technique
from apprentice.memory.experience import OpenExperience
from apprentice.nodes.agents import RETRY, Agent
from apprentice.nodes.attempt import attempt_with
from apprentice.nodes.grade import Judge
from apprentice.nodes.judge import judge as decide
from apprentice.nodes.recall import recall_in
from apprentice.nodes.record import record_in
from apprentice.nodes.reflect import reflect_with
from apprentice.state.context import Context
from apprentice.state.reflexion import ReflexionInput, ReflexionOutput, ReflexionState
from apprentice.workspace import Workspace, default

Reflexion = Technique[ReflexionState, ReflexionInput, ReflexionOutput]


def build(
    *,
    workspace: Workspace | None = None,
    agent: Agent | None = None,
    judge: Judge | None = None,
    reflector: Agent | None = None,
    record_to: OpenExperience | None = None,
) -> Reflexion:
    """Wire the loop; only the judge node chooses the next step.

    Args:
        workspace: provides all that is not given; by default, the workspace of this process.
        agent: acts; by default, the model that the run's context names.
        judge: has the last word on an attempt; by default, the environment.
        reflector: writes reflections; by default, the context's model.
        record_to: opens a tenant's experience memory, in which attempts are recorded; by default,
            they are not recorded. A run does not repeat attempts that it recorded before it was
            killed.

    Example:
        >>> agent = lambda messages: "go to drawer 1"
        >>> graph = build_reflexion(agent=agent, reflector=lambda messages: "Try shelf 1.")
        >>> task = {"environment": "household/north/small", "id": "test/6"}
        >>> run = graph.compile().ainvoke({"task": task}, context=Context(max_trials=2))
        >>> result = asyncio.run(run)
        >>> result["outcome"], result["trials"]
        ('failed', 2)
    """
    own = workspace or default()
    episode_graph = episode.build(workspace=own, agent=agent, judge=judge).compile(
        name="episode", checkpointer=False
    )
    graph = (
        Technique(
            ReflexionState, Context, input_schema=ReflexionInput, output_schema=ReflexionOutput
        )
        .add_node("recall", recall_in(own))
        .add_node("attempt", attempt_with(episode_graph, own, record_to))
        .add_node("judge", decide)
        .add_node("reflect", reflect_with(reflector, own, record_to), retry_policy=RETRY)
        .add_edge(START, "recall")
        .add_edge("attempt", "judge")
        .add_edge("reflect", "attempt")
    )
    if record_to:
        # `record` runs in parallel with the node that `judge` selects.
        graph.add_node("record", record_in(record_to, own)).add_edge("judge", "record")
    return graph


graph = build(record_to=default().experience).compile(name="reflexion")
