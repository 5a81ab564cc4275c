"""Training: turn judged attempts into a released adapter. Each run takes the next step.

START -> survey -> advise -> curate -> launch <-> watch -> evaluate -> promote -> END
           |  |      |         |                  | |         ^  |
           |  |      v         v                  | |         +--+--> reject --> END
           |  |     END       END                 | v
           |  |  (held off) (too little)          | END          (still training, or failed)
           |  +-----------------------------------+              (a round is open)
           v
          END                                                    (too few new attempts)

If another run has ended the round meanwhile, `launch` goes to `evaluate`, which reports the end.

The job is a process of its own. A run looks at it once and returns, so a threshold, a cron job, a
person or a restart may start a run at any time, even two at once: a round has one job and one end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langgraph.graph import END, START

from apprentice.graphs import episode
from apprentice.graphs.technique import Technique
from apprentice.memory.experience import OpenExperience
from apprentice.nodes.agents import RETRY, Agent
from apprentice.nodes.grade import Judge
from apprentice.nodes.training.advise import advise
from apprentice.nodes.training.curate import curate_from
from apprentice.nodes.training.evaluate import evaluate_with
from apprentice.nodes.training.launch import launch_with
from apprentice.nodes.training.promote import promote_in, reject_in
from apprentice.nodes.training.rounds import Jobs
from apprentice.nodes.training.survey import survey_with
from apprentice.nodes.training.watch import watch_with
from apprentice.state.context import Context
from apprentice.state.training import TrainingInput, TrainingOutput, TrainingState
from apprentice.workspace import Workspace, default

Training = Technique[TrainingState, TrainingInput, TrainingOutput]


def build(
    *,
    workspace: Workspace | None = None,
    agent: Agent | None = None,
    judge: Judge | None = None,
    recall_from: OpenExperience | None = None,
    jobs: Jobs | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Training:
    """Wire the technique; it needs a store.

    Args:
        workspace: provides all that is not given; by default, the workspace of this process.
        agent: attempts the held-out tasks; by default, the context's model.
        judge: has the last word on an attempt; by default, the environment.
        recall_from: opens the experience memory to learn from; by default, the workspace opens it.
        jobs: returns the launcher of jobs; by default, the workspace's launcher.
        settings: of a job, where a run's input has no others.

    Example:
        async with workspace.store() as store:
            graph = build_training(workspace=workspace).compile(store=store)
            result = await graph.ainvoke({"environment": "returns-desk"})
        print(result["stage"], result["reason"])
    """
    own = workspace or default()
    source, launcher = recall_from or own.experience, jobs or own.launcher
    episode_graph = episode.build(workspace=own, agent=agent, judge=judge).compile(
        name="episode", checkpointer=False
    )
    return (
        Technique(TrainingState, Context, input_schema=TrainingInput, output_schema=TrainingOutput)
        .add_node("survey", survey_with(source, settings or {}, own))
        .add_node(advise)
        .add_node("curate", curate_from(source, own))
        .add_node("launch", launch_with(launcher, own))
        .add_node("watch", watch_with(launcher, own))
        .add_node("evaluate", evaluate_with(episode_graph, own), retry_policy=RETRY)
        .add_node("promote", promote_in(own))
        .add_node("reject", reject_in(own))
        .add_edge(START, "survey")
        .add_edge("promote", END)
        .add_edge("reject", END)
    )


graph = build().compile(name="training")
