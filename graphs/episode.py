"""Episode: one attempt at one task, in which the agent and the environment take turns.

START -> begin -> act -> step -> record -> END    (solved, stuck, or out of steps)
                  ^      | |        ^
                  +------+ +-> grade+             (an open task, or the caller's own judge)
                 (not over yet)

A graph that contains this one records its episodes itself, so it builds this one without `record`.
With `recall_from`, each turn recalls similar steps of other tasks: ... remind -> act -> ...
"""

from __future__ import annotations

from langgraph.graph import END, START

from apprentice.graphs.technique import Technique
from apprentice.memory.experience import OpenExperience
from apprentice.nodes.act import act_with
from apprentice.nodes.agents import RETRY, Agent
from apprentice.nodes.begin import begin_in
from apprentice.nodes.grade import Judge, grade_with
from apprentice.nodes.record import record_episode_in
from apprentice.nodes.remind import remind_from
from apprentice.nodes.step import step_in
from apprentice.state.context import Context
from apprentice.state.episode import EpisodeInput, EpisodeOutput, EpisodeState
from apprentice.workspace import Workspace, default

Episode = Technique[EpisodeState, EpisodeInput, EpisodeOutput]


def build(
    *,
    workspace: Workspace | None = None,
    agent: Agent | None = None,
    judge: Judge | None = None,
    recall_from: OpenExperience | None = None,
    record_to: OpenExperience | None = None,
    person: bool = False,
) -> Episode:
    """Wire an episode.

    Args:
        workspace: has the models and environments; by default, the workspace of this process.
        agent: acts; by default, the model that the run's context names.
        judge: has the last word on the verdict. By default, the environment judges; the run's
            context names the judge of open tasks.
        recall_from: opens the experience memory from which each turn recalls similar steps; by
            default, no steps are recalled.
        record_to: opens the experience memory in which the attempt is recorded; by default, it is
            not recorded.
        person: whether this graph may ask a person, which needs a checkpointer. A graph that
            contains this one asks them itself.

    Example:
        >>> agent = lambda messages: "go to drawer 1"
        >>> graph = build_episode(agent=agent).compile(name="episode")
        >>> task = {"environment": "household/north/small", "id": "test/6"}
        >>> asyncio.run(graph.ainvoke({"task": task}))["verdict"].success
        False
    """
    own = workspace or default()
    last, turn = "record" if record_to else END, "remind" if recall_from else "act"
    after = "grade" if judge else last
    graph = (
        Technique(EpisodeState, Context, input_schema=EpisodeInput, output_schema=EpisodeOutput)
        .add_node("begin", begin_in(own))
        .add_node("act", act_with(agent, own), retry_policy=RETRY)
        .add_node("step", step_in(own, after, turn), destinations=(turn, "grade", last))
        .add_node("grade", grade_with(judge, own, person=person), retry_policy=RETRY)
        .add_edge(START, "begin")
        .add_edge("begin", turn)
        .add_edge("act", "step")
        .add_edge("grade", last)
    )
    if record_to:
        graph.add_node("record", record_episode_in(record_to, own)).add_edge("record", END)
    if recall_from:
        graph.add_node("remind", remind_from(recall_from, own)).add_edge("remind", "act")
    return graph


graph = build(record_to=default().experience, person=True).compile(name="episode")
