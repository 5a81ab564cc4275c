"""record: an attempt that was made elsewhere is remembered."""

from __future__ import annotations

from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from apprentice.memory.experience import OpenExperience
from apprentice.nodes import Node
from apprentice.nodes.training.notice import notice
from apprentice.state.context import Context
from apprentice.state.errors import BrokenData
from apprentice.state.feedback import FeedbackState, FeedbackUpdate
from apprentice.state.submission import expect_same
from apprentice.workspace import Workspace

Next = Literal["annotate", "__end__"]


def record_in(
    record_to: OpenExperience, workspace: Workspace
) -> Node[FeedbackState, Command[Next]]:
    """Return the node that keeps an attempt from outside."""

    async def record(state: FeedbackState, runtime: Runtime[Context]) -> Command[Next]:
        """Keep the attempt; one that is known may get another verdict, but not another attempt."""
        if state.attempt is None:
            raise BrokenData("The run has no attempt to record. Start it anew with its input.")
        kept = await record_to(Context.of(runtime).tenant)
        done = await kept.record([state.attempt])
        new = bool(done.new)
        before = await kept.get(state.id)
        if before and not new:
            expect_same(before.trajectory, state.attempt, state.named_fields)
        runtime.stream_writer({"type": "feedback.recorded", "trajectory": state.id, "new": new})
        if new:
            await notice([state.attempt], runtime, record_to, workspace)
        if done.duplicates and state.judgement:
            return Command(goto="annotate")
        update: FeedbackUpdate = {
            "effect": "recorded" if new else "known",
            "latest": (before.trajectory if before else state.attempt).verdict,
        }
        return Command(update=update, goto="__end__")

    return record
