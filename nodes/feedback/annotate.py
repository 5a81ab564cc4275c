"""annotate: an attempt that is kept gets a later verdict."""

from __future__ import annotations

from langgraph.runtime import Runtime

from nodes import Node
from nodes.experience import Memory
from state.context import Context
from state.feedback import FeedbackState, FeedbackUpdate
from state.nouns import Verdict


def annotating(memory: Memory) -> Node[FeedbackState, FeedbackUpdate]:
    """Return the node that gives a kept attempt a later verdict."""

    async def annotate(state: FeedbackState, runtime: Runtime[Context]) -> FeedbackUpdate:
        """Let the verdict count from now on; the same one again changes nothing."""
        kept = await memory(Context.of(runtime).tenant)
        before = await kept.get(state.id)
        verdict = state.judgement.over(before.trajectory.verdict if before else Verdict())
        changed = await kept.annotate(state.id, verdict)
        runtime.stream_writer(
            {
                "type": "feedback.annotated",
                "trajectory": state.id,
                "success": verdict.success,
                "score": verdict.score,
                "changed": changed,
            }
        )
        return {"kept": "judged" if changed else "unchanged", "latest": verdict}

    return annotate
