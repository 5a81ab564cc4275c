"""attempt: one episode, with what is known in view."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_config
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from apprentice.memory.experience import OpenExperience
from apprentice.nodes import Node
from apprentice.nodes.experience import experience_of
from apprentice.state.context import MAX_SEED, Context
from apprentice.state.nouns import InView, Task, Trajectory, trajectory_id, transcript
from apprentice.state.prompts import Shown
from apprentice.state.reflexion import ReflexionState, ReflexionUpdate
from apprentice.workspace import Workspace


def attempt_with(
    episode: CompiledStateGraph[Any, Context, Any, Any],
    workspace: Workspace,
    record_to: OpenExperience | None = None,
) -> Node[ReflexionState, ReflexionUpdate]:
    """Return the node that runs an episode as a subgraph; the finished attempt is kept whole.

    What the run recorded before it was killed is not attempted again: a memory is durable at
    once, where a checkpoint may be a moment behind.
    """

    async def attempt(state: ReflexionState, runtime: Runtime[Context]) -> ReflexionUpdate:
        """Attempt the task once more."""
        await workspace.ready()
        context = workspace.resolved(Context.of(runtime))
        trial = state.trials + 1
        name = trajectory_id(context.tenant, state.task, state.run_name, trial)
        experience = await experience_of(runtime, record_to, workspace)
        if experience and (before := await experience.get(name)):
            trajectory = before.trajectory
        else:
            lessons = in_view(state, context)
            # Sampled retries must differ from each other, and be the same when repeated.
            seeded = replace(context, seed=(context.seed + state.trials) % MAX_SEED)
            trajectory = await attempted(
                episode, state.task, shown(state, context), seeded, run=state.run_name, trial=trial
            )
            trajectory = with_view(trajectory, reflections=lessons.reflections)
        return {
            "attempts": [*state.attempts, trajectory],
            "trials": trial,
            "verdict": trajectory.verdict,
        }

    return attempt


async def attempted(
    episode: CompiledStateGraph[Any, Context, Any, Any],
    task: Task,
    shown: Shown,
    context: Context,
    *,
    run: str,
    trial: int = 1,
) -> Trajectory:
    """Run an episode as a subgraph and return it whole, with what it says was in view."""
    ended = await episode.ainvoke(
        {"task": task, "shown": shown}, without_checkpoints(get_config()), context=context
    )
    return whole(ended, context, run=run, trial=trial)


def whole(ended: Mapping[str, Any], context: Context, *, run: str, trial: int = 1) -> Trajectory:
    """Return an episode that is over as one trajectory."""
    return Trajectory(
        id=trajectory_id(context.tenant, ended["task"], run, trial),
        tenant=context.tenant,
        task=ended["task"],
        run=run,
        trial=trial,
        messages=tuple(ended["messages"]),
        verdict=ended["verdict"],
        in_view=ended["in_view"],
        model=context.model,
        adapter=ended["adapter"],
        usage=ended["usage"],
        ended_at=time.time(),
    )


def with_view(trajectory: Trajectory, **seen: object) -> Trajectory:
    """Return an attempt with more said of what was in its view."""
    view = trajectory.in_view.model_copy(update=seen)
    return trajectory.model_copy(update={"in_view": view})


def without_checkpoints(config: RunnableConfig) -> RunnableConfig:
    """Keep a parent's durability "sync" from a subgraph that has no checkpoints to wait for.

    LangGraph 1.2 hands it down and then fails on the checkpoint that was never begun; asking for
    another durability by argument only warns that there is nothing to be durable.
    """
    return {**config, "configurable": {**config["configurable"], "__pregel_durability": "async"}}


def in_view(state: ReflexionState, context: Context) -> InView:
    """Return what the next attempt is shown of its task's reflections: the last of them."""
    if not context.reflects:
        return InView()
    return InView(reflections=tuple(state.reflections[-context.window :]))


def shown(state: ReflexionState, context: Context) -> Shown:
    """Return what the next attempt is shown: the background, and what the strategy adds."""
    base = state.background
    texts = [reflection.text for reflection in in_view(state, context).reflections]
    failed = [attempt for attempt in state.attempts if not attempt.verdict.interrupted]
    last = failed[-1:] if context.shows_last_attempt else []
    return replace(
        base,
        reflections=[*base.reflections, *texts],
        last_attempt=[*base.last_attempt, *(transcript(attempt.messages) for attempt in last)],
    )
