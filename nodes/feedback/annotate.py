"""annotate: give a stored attempt a later verdict."""

from __future__ import annotations

from langgraph.runtime import Runtime

from apprentice.memory.experience import OpenExperience
from apprentice.memory.reflections import Reflections
from apprentice.memory.showings import Showings
from apprentice.nodes import Node
from apprentice.nodes.training.trigger import trigger_training
from apprentice.state.context import Context
from apprentice.state.feedback import FeedbackState, FeedbackUpdate
from apprentice.state.trajectory import Verdict
from apprentice.workspace import Workspace


def annotate_in(
    record_to: OpenExperience, workspace: Workspace
) -> Node[FeedbackState, FeedbackUpdate]:
    """Return the node that gives a stored attempt a later verdict."""

    async def annotate(state: FeedbackState, runtime: Runtime[Context]) -> FeedbackUpdate:
        """Make the verdict the one that counts; sending the same verdict again changes nothing."""
        tenant = Context.of(runtime).tenant
        experience = await record_to(tenant)
        before = await experience.get(state.id)
        verdict = state.judgement.over(before.trajectory.verdict if before else Verdict())
        is_changed = await experience.annotate(state.id, verdict)
        if before:
            attempt = before.trajectory.model_copy(update={"verdict": verdict})
            await Showings(runtime.store, tenant, attempt.task.environment).add(attempt)
            reflections = Reflections(runtime.store, tenant, attempt.task)
            await reflections.apply_verdict(state.id, verdict.success)
            if is_changed and before.trajectory.verdict.success is None:
                await trigger_training([attempt], runtime, record_to, workspace)
        runtime.stream_writer(
            {
                "type": "feedback.annotated",
                "trajectory": state.id,
                "success": verdict.success,
                "score": verdict.score,
                "is_changed": is_changed,
            }
        )
        return {"effect": "judged" if is_changed else "unchanged", "latest": verdict}

    return annotate
