"""Episode: one attempt at one task, a turn of the agent and a turn of the environment in turn.

START -> begin -> act -> step -> record -> END    (solved, stuck, or out of steps)
                  ^      | |        ^
                  +------+ +-> grade+             (an open task, or a judge of one's own)
                 (not over yet)

A graph that runs episodes as a part of it records them itself: then there is no `record` here.
With a memory, what was done at similar moments is recalled in every turn: ... remind -> act -> ...
"""

from __future__ import annotations

from langgraph.graph import END, START

from apprentice.graphs.technique import Technique
from apprentice.nodes.act import acting
from apprentice.nodes.agents import RETRY, Agent
from apprentice.nodes.begin import begin
from apprentice.nodes.experience import Memory, experience
from apprentice.nodes.grade import Judge, grading
from apprentice.nodes.record import recording_episode
from apprentice.nodes.remind import reminding
from apprentice.nodes.step import stepping
from apprentice.state.context import Context
from apprentice.state.episode import EpisodeInput, EpisodeOutput, EpisodeState

Episode = Technique[EpisodeState, EpisodeInput, EpisodeOutput]


def build(
    agent: Agent | None = None,
    judge: Judge | None = None,
    memory: Memory | None = None,
    *,
    person: bool = False,
    record: Memory | None = None,
) -> Episode:
    """Wire an episode.

    Args:
        agent: who acts; the model that the run's context names when none is given.
        judge: who has the last word on the verdict; the environment when none is given, and for
            open tasks whom the run's context names.
        memory: where moments of other tasks are recalled from in every turn; when none is given,
            they are not.
        person: whether a person may be asked here, which takes a checkpointer. A graph that runs
            episodes as a part of it asks them itself.
        record: opens a tenant's experience, in which the attempt is recorded; when none is given,
            it is not.
    """
    last, turn = "record" if record else END, "remind" if memory else "act"
    after = "grade" if judge else last
    graph = (
        Technique(EpisodeState, Context, input_schema=EpisodeInput, output_schema=EpisodeOutput)
        .add_node(begin)
        .add_node("act", acting(agent), retry_policy=RETRY)
        .add_node("step", stepping(after, turn), destinations=(turn, "grade", last))
        .add_node("grade", grading(judge, person=person), retry_policy=RETRY)
        .add_edge(START, "begin")
        .add_edge("begin", turn)
        .add_edge("act", "step")
        .add_edge("grade", last)
    )
    if record:
        graph.add_node("record", recording_episode(record)).add_edge("record", END)
    if memory:
        graph.add_node("remind", reminding(memory)).add_edge("remind", "act")
    return graph


graph = build(person=True, record=experience).compile(name="episode")
