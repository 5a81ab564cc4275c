"""annotate: an attempt that is kept gets a later verdict."""

from __future__ import annotations

from langgraph.runtime import Runtime

from apprentice.memory.experience import OpenExperience
from apprentice.memory.reflections import Reflections
from apprentice.memory.showings import Showings
from apprentice.nodes import Node
from apprentice.nodes.training.notice import notice
from apprentice.state.context import Context
from apprentice.state.feedback import FeedbackState, FeedbackUpdate
from apprentice.state.nouns import Verdict
from apprentice.workspace import Workspace


def annotate_in(
    record_to: OpenExperience, workspace: Workspace
) -> Node[FeedbackState, FeedbackUpdate]:
    """Return the node that gives a kept attempt a later verdict."""

    async def annotate(state: FeedbackState, runtime: Runtime[Context]) -> FeedbackUpdate:
        """Let the verdict count from now on; the same one again changes nothing."""
        tenant = Context.of(runtime).tenant
        kept = await record_to(tenant)
        before = await kept.get(state.id)
        verdict = state.judgement.over(before.trajectory.verdict if before else Verdict())
        changed = await kept.annotate(state.id, verdict)
        if before:
            judged = before.trajectory.model_copy(update={"verdict": verdict})
            await Showings(runtime.store, tenant, judged.task.environment).add(judged)
            await Reflections(runtime.store, tenant, judged.task).apply_verdict(
                state.id, verdict.success
            )
            if changed and before.trajectory.verdict.success is None:
                await notice([judged], runtime, record_to, workspace)
        runtime.stream_writer(
            {
                "type": "feedback.annotated",
                "trajectory": state.id,
                "success": verdict.success,
                "score": verdict.score,
                "changed": changed,
            }
        )
        return {"effect": "judged" if changed else "unchanged", "latest": verdict}

    return annotate
