"""advise: decide whether to fine-tune and how, with reasons."""

from __future__ import annotations

from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from apprentice.state.context import Context
from apprentice.state.training import TrainingState, TrainingUpdate
from apprentice.training.advisor import advise as decide


async def advise(
    state: TrainingState, runtime: Runtime[Context]
) -> Command[Literal["curate", "__end__"]]:
    """Decide from the available data whether a fine-tune pays, and by which method."""
    advice = decide(state.evidence, state.situation)
    runtime.stream_writer({"type": "training.advice", **advice.model_dump(mode="json")})
    update: TrainingUpdate = {"advice": advice, "reason": advice.sentences()}
    if advice.tune:
        return Command(update=update, goto="curate")
    return Command(update={**update, "stage": "held_off"}, goto="__end__")
