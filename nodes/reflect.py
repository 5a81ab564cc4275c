"""reflect: a failed attempt becomes a lesson.

After Shinn et al. 2023 (arXiv 2303.11366): one reflection a failure, written from the transcript
and the earlier reflections; all are kept, the last few are shown.
"""

from __future__ import annotations

from langgraph.runtime import Runtime

from apprentice.memory.experience import OpenExperience
from apprentice.memory.reflections import Reflections
from apprentice.nodes import Node
from apprentice.nodes.agents import Agent, ask
from apprentice.nodes.experience import experience_of
from apprentice.state.context import Context
from apprentice.state.nouns import Reflection, Verdict, text_of, transcript
from apprentice.state.prompts import reflect_prompt
from apprentice.state.reflexion import ReflexionState, ReflexionUpdate
from apprentice.workspace import Workspace


def reflect_with(
    reflector: Agent | None, workspace: Workspace, record_to: OpenExperience | None = None
) -> Node[ReflexionState, ReflexionUpdate]:
    """Return the node in which a model, or the caller's own reflector, writes a reflection.

    It is kept for the task itself and, where there is a memory, for tasks like it.
    """

    async def reflect(state: ReflexionState, runtime: Runtime[Context]) -> ReflexionUpdate:
        """Write a lesson from the failed attempt, and keep it."""
        context = Context.of(runtime)
        failed = state.attempts[-1]
        earlier = [reflection.text for reflection in state.reflections[-context.window :]]
        prompt = reflect_prompt(transcript(failed.messages), earlier, feedback(failed.verdict))
        reply = await ask(
            reflector,
            prompt,
            context,
            workspace,
            graph="reflexion",
            environment=state.task.environment,
        )
        text = text_of(reply.message).strip()
        event = {"type": "reflexion.reflection", "task": state.task.id, "trial": failed.trial}
        runtime.stream_writer({**event, "text": text})
        spent = state.reflection_usage + reply.usage
        if not text:
            return {"reflection_usage": spent}
        reflection = Reflection(text=text, trial=failed.trial)
        own = Reflections(runtime.store, context.tenant, state.task)
        await own.add(state.run_name, reflection)
        if experience := await experience_of(runtime, record_to, workspace):
            await experience.record([failed])
            await experience.reflect(failed.id, text)
        return {"reflections": [*state.reflections, reflection], "reflection_usage": spent}

    return reflect


def feedback(verdict: Verdict) -> str:
    """Word a verdict for the reflection prompt: its score, where that tells anything, and text."""
    score = verdict.score or 0.0
    scored = f"Score: {score:.2f} of 1. " if 0 < score < 1 else ""
    return f"{scored}{verdict.feedback}".strip()
