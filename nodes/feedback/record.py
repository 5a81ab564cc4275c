"""record: store an attempt that was made elsewhere."""

from __future__ import annotations

from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from apprentice.memory.experience import OpenExperience
from apprentice.nodes import Node
from apprentice.nodes.training.trigger import trigger_training
from apprentice.state.context import Context
from apprentice.state.errors import BrokenData
from apprentice.state.feedback import FeedbackState, FeedbackUpdate
from apprentice.state.submission import expect_same
from apprentice.workspace import Workspace

Next = Literal["annotate", "__end__"]


def record_in(
    record_to: OpenExperience, workspace: Workspace
) -> Node[FeedbackState, Command[Next]]:
    """Return the node that stores an attempt from outside."""

    async def record(state: FeedbackState, runtime: Runtime[Context]) -> Command[Next]:
        """Store the attempt; a known one may get another verdict, but not other messages."""
        if state.attempt is None:
            raise BrokenData("The run has no attempt to record. Start it anew with its input.")
        experience = await record_to(Context.of(runtime).tenant)
        report = await experience.record([state.attempt])
        new = bool(report.new)
        before = await experience.get(state.id)
        if before and not new:
            expect_same(before.trajectory, state.attempt, state.named_fields)
        runtime.stream_writer({"type": "feedback.recorded", "trajectory": state.id, "is_new": new})
        if new:
            await trigger_training([state.attempt], runtime, record_to, workspace)
        if report.duplicates and state.judgement:
            return Command(goto="annotate")
        update: FeedbackUpdate = {
            "effect": "recorded" if new else "known",
            "latest": (before.trajectory if before else state.attempt).verdict,
        }
        return Command(update=update, goto="__end__")

    return record
