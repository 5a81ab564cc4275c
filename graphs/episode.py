"""Episode: one attempt at one task, a turn of the agent and a turn of the environment in turn.

START -> begin -> act -> step -> END             (solved, stuck, or out of steps)
                   ^      | |
                   +------+ +--> grade -> END    (an open task, or a judge of one's own)
                  (not over yet)
"""

from __future__ import annotations

from langgraph.graph import END, START, StateGraph

from nodes.act import acting
from nodes.agents import RETRY, Agent
from nodes.begin import begin
from nodes.grade import Judge, grading
from nodes.step import stepping
from state.context import Context
from state.episode import EpisodeInput, EpisodeOutput, EpisodeState

Episode = StateGraph[EpisodeState, Context, EpisodeInput, EpisodeOutput]


def build(
    agent: Agent | None = None, judge: Judge | None = None, *, person: bool = False
) -> Episode:
    """Wire an episode.

    Args:
        agent: who acts; the model that the run's context names when none is given.
        judge: who has the last word on the verdict; the environment when none is given, and for
            open tasks whom the run's context names.
        person: whether a person may be asked here, which takes a checkpointer. A graph that runs
            episodes as a part of it asks them itself.
    """
    after = "grade" if judge else END
    return (
        StateGraph(EpisodeState, Context, input_schema=EpisodeInput, output_schema=EpisodeOutput)
        .add_node(begin)
        .add_node("act", acting(agent), retry_policy=RETRY)
        .add_node("step", stepping(after), destinations=("act", "grade", END))
        .add_node("grade", grading(judge, person=person), retry_policy=RETRY)
        .add_edge(START, "begin")
        .add_edge("begin", "act")
        .add_edge("act", "step")
        .add_edge("grade", END)
    )


graph = build(person=True).compile(name="episode")
