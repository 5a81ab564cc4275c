"""attempt: one episode, with what is known in view."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_config
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from nodes import Node
from state.context import MAX_SEED, Context
from state.nouns import InView, Trajectory, trajectory_id, transcript
from state.prompts import Shown
from state.reflexion import ReflexionState, ReflexionUpdate


def attempting(
    episode: CompiledStateGraph[Any, Context, Any, Any],
) -> Node[ReflexionState, ReflexionUpdate]:
    """Return the node that runs an episode as a subgraph; the finished attempt is kept whole."""

    async def attempt(state: ReflexionState, runtime: Runtime[Context]) -> ReflexionUpdate:
        """Attempt the task once more."""
        context = Context.of(runtime)
        trial = state.trials + 1
        lessons = in_view(state, context)
        ended = await episode.ainvoke(
            {"task": state.task, "shown": shown(state, context)},
            _without_checkpoints(get_config()),
            # Sampled retries must differ from each other, and be the same when repeated.
            context=replace(context, seed=(context.seed + state.trials) % MAX_SEED),
        )
        trajectory = Trajectory(
            id=trajectory_id(context.tenant, state.task, state.run_name, trial),
            tenant=context.tenant,
            task=state.task,
            run=state.run_name,
            trial=trial,
            messages=tuple(ended["messages"]),
            verdict=ended["verdict"],
            in_view=ended["in_view"].model_copy(update={"reflections": lessons.reflections}),
            model=context.model,
            adapter=context.adapter,
            usage=ended["usage"],
            ended_at=time.time(),
        )
        return {
            "attempts": [*state.attempts, trajectory],
            "trials": trial,
            "verdict": trajectory.verdict,
        }

    return attempt


def _without_checkpoints(config: RunnableConfig) -> RunnableConfig:
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
    last = state.attempts[-1:] if context.shows_last_attempt else []
    return replace(
        base,
        reflections=[*base.reflections, *texts],
        last_attempt=[*base.last_attempt, *(transcript(attempt.messages) for attempt in last)],
    )
