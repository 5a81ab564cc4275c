"""step: the environment's turn."""

from __future__ import annotations

import asyncio
from typing import Literal

from langchain_core.messages import AIMessage
from langgraph.runtime import Runtime

from environments.advance import advance
from state.context import Context
from state.episode import EpisodeState, EpisodeUpdate
from state.errors import BrokenData
from state.nouns import text_of


async def step(state: EpisodeState, runtime: Runtime[Context]) -> EpisodeUpdate:
    """Carry out the agent's turn in the environment."""
    *before, turn = state.messages
    if not isinstance(turn, AIMessage):
        raise BrokenData(
            f"The transcript ends with a {turn.type!r} message, but only an agent's turn can be "
            "carried out. Resume from a checkpoint that ends with one."
        )
    done = await asyncio.to_thread(advance, state.task, before, turn)
    runtime.stream_writer(
        {
            "type": "episode.step",
            "task": state.task.id,
            "steps": done.steps,
            "turn": text_of(turn),
            "reply": text_of(done.reply),
            "success": done.verdict.success if done.verdict else None,
            "over": done.verdict is not None,
        }
    )
    return {"messages": [done.reply], "steps": done.steps, "verdict": done.verdict}


def next_turn(state: EpisodeState) -> Literal["act", "over"]:
    """Go on until there is a verdict."""
    return "act" if state.verdict is None else "over"
