"""attempt: run one episode that shows the reflections so far."""

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
from apprentice.state.prompts import Shown
from apprentice.state.reflexion import ReflexionState, ReflexionUpdate
from apprentice.state.trajectory import InView, Task, Trajectory, trajectory_id, transcript
from apprentice.workspace import Workspace


def attempt_with(
    episode: CompiledStateGraph[Any, Context, Any, Any],
    workspace: Workspace,
    record_to: OpenExperience | None = None,
) -> Node[ReflexionState, ReflexionUpdate]:
    """Return the node that runs an episode as a subgraph and keeps the whole trajectory.

    An attempt that the run recorded before it was killed is not made again: the experience memory
    is durable at once, while a checkpoint may be slightly behind.
    """

    async def attempt(state: ReflexionState, runtime: Runtime[Context]) -> ReflexionUpdate:
        """Attempt the task once more."""
        await workspace.ready()
        context = workspace.with_model(Context.of(runtime))
        trial = state.trials + 1
        name = trajectory_id(context.tenant, state.task, state.run_name, trial)
        experience = await experience_of(runtime, record_to, workspace)
        if experience and (before := await experience.get(name)):
            trajectory = before.trajectory
        else:
            view = in_view(state, context)
            # Sampled retries must differ from each other, and a repeated run must sample the same.
            settings = replace(context, seed=(context.seed + state.trials) % MAX_SEED)
            trajectory = await run_episode(
                episode,
                state.task,
                shown_from(state, context),
                settings,
                run=state.run_name,
                trial=trial,
            )
            trajectory = with_view(trajectory, reflections=view.reflections)
        return {
            "attempts": [*state.attempts, trajectory],
            "trials": trial,
            "verdict": trajectory.verdict,
        }

    return attempt


async def run_episode(
    episode: CompiledStateGraph[Any, Context, Any, Any],
    task: Task,
    shown: Shown,
    context: Context,
    *,
    run: str,
    trial: int = 1,
) -> Trajectory:
    """Run an episode as a subgraph and return its trajectory, with what was in view."""
    result = await episode.ainvoke(
        {"task": task, "shown": shown}, without_checkpoints(get_config()), context=context
    )
    return trajectory_of(result, context, run=run, trial=trial)


def trajectory_of(
    result: Mapping[str, Any], context: Context, *, run: str, trial: int = 1
) -> Trajectory:
    """Return the trajectory of a finished episode."""
    return Trajectory(
        id=trajectory_id(context.tenant, result["task"], run, trial),
        tenant=context.tenant,
        task=result["task"],
        run=run,
        trial=trial,
        messages=tuple(result["messages"]),
        verdict=result["verdict"],
        in_view=result["in_view"],
        model=context.model,
        adapter=result["adapter"],
        usage=result["usage"],
        ended_at=time.time(),
    )


def with_view(trajectory: Trajectory, **changes: object) -> Trajectory:
    """Return an attempt whose view has these changes."""
    view = trajectory.in_view.model_copy(update=changes)
    return trajectory.model_copy(update={"in_view": view})


def without_checkpoints(config: RunnableConfig) -> RunnableConfig:
    """Keep a parent's durability "sync" from a subgraph that has no checkpoints to wait for.

    LangGraph 1.2 passes it to the subgraph and then fails on a checkpoint that does not exist. A
    durability that is passed as an argument leads to a warning instead, so it is set here.
    """
    return {**config, "configurable": {**config["configurable"], "__pregel_durability": "async"}}


def in_view(state: ReflexionState, context: Context) -> InView:
    """Return the last reflections of the task, which the next attempt is shown."""
    if not context.reflects:
        return InView()
    return InView(reflections=tuple(state.reflections[-context.window :]))


def shown_from(state: ReflexionState, context: Context) -> Shown:
    """Return what the next attempt is shown: the background, and what the run's strategy adds."""
    base = state.background
    texts = [reflection.text for reflection in in_view(state, context).reflections]
    complete = [attempt for attempt in state.attempts if not attempt.verdict.interrupted]
    last = complete[-1:] if context.shows_last_attempt else []
    return replace(
        base,
        reflections=[*base.reflections, *texts],
        last_attempt=[*base.last_attempt, *(transcript(attempt.messages) for attempt in last)],
    )
