"""Training: from what is remembered to an adapter in force. Every run does the one next thing.

START -> survey -> advise -> curate -> launch <-> watch -> evaluate -> promote -> END
           |  |      |         |                  | |         ^  |
           |  |      v         v                  | |         +--+--> reject --> END
           |  |     END       END                 | v
           |  |  (held off) (too little)          | END          (still training, or failed)
           |  +-----------------------------------+              (a round is open)
           v
          END                                                    (not enough gathered yet)

Where another run has ended the round meanwhile, launch goes to evaluate, which says how.

The job is a process of its own. A run looks once and returns, so a threshold, a cron, a person or
a restart may start it, at any time and twice at once: a round has one job, and one end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langgraph.graph import END, START

from apprentice.graphs import episode
from apprentice.graphs.technique import Technique
from apprentice.nodes.agents import RETRY, Agent
from apprentice.nodes.experience import Memory, experience
from apprentice.nodes.grade import Judge
from apprentice.nodes.training.advise import advise
from apprentice.nodes.training.curate import curating
from apprentice.nodes.training.evaluate import evaluating
from apprentice.nodes.training.launch import launching
from apprentice.nodes.training.promote import promote, reject
from apprentice.nodes.training.survey import surveying
from apprentice.nodes.training.watch import watching
from apprentice.nodes.training.workshop import Jobs, local_jobs
from apprentice.state.context import Context
from apprentice.state.training import TrainingInput, TrainingOutput, TrainingState

Training = Technique[TrainingState, TrainingInput, TrainingOutput]


def build(
    agent: Agent | None = None,
    judge: Judge | None = None,
    memory: Memory = experience,
    jobs: Jobs = local_jobs,
    settings: Mapping[str, Any] | None = None,
) -> Training:
    """Wire a look at the training; it needs a store.

    Args:
        agent: who attempts the held-out tasks; the context's model when none is given.
        judge: who has the last word on an attempt; the environment when none is given.
        memory: opens what is learned from; the server's own when none is given.
        jobs: gives the launcher of jobs; this machine's when none is given.
        settings: of a job, where a run's input gives no others.
    """
    attempted = episode.build(agent, judge).compile(name="episode", checkpointer=False)
    return (
        Technique(TrainingState, Context, input_schema=TrainingInput, output_schema=TrainingOutput)
        .add_node("survey", surveying(memory, settings or {}))
        .add_node(advise)
        .add_node("curate", curating(memory))
        .add_node("launch", launching(jobs))
        .add_node("watch", watching(jobs))
        .add_node("evaluate", evaluating(attempted), retry_policy=RETRY)
        .add_node(promote)
        .add_node(reject)
        .add_edge(START, "survey")
        .add_edge("promote", END)
        .add_edge("reject", END)
    )


graph = build().compile(name="training")
