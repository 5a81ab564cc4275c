"""reflect: write a reflection on a failed attempt.

After Shinn et al. 2023 (arXiv 2303.11366): each failure leads to one reflection, written from the
transcript and the earlier reflections. All are stored; the last few are shown.
"""

from __future__ import annotations

from langgraph.runtime import Runtime

from apprentice.memory.experience import OpenExperience
from apprentice.memory.reflections import Reflections
from apprentice.nodes import Node
from apprentice.nodes.agents import Agent, ask
from apprentice.nodes.experience import experience_of
from apprentice.state.context import Context
from apprentice.state.prompts import reflect_prompt
from apprentice.state.reflexion import ReflexionState, ReflexionUpdate
from apprentice.state.trajectory import Reflection, Verdict, text_of, transcript
from apprentice.workspace import Workspace


def reflect_with(
    reflector: Agent | None, workspace: Workspace, record_to: OpenExperience | None = None
) -> Node[ReflexionState, ReflexionUpdate]:
    """Return the node in which a model, or the caller's own reflector, writes a reflection.

    The reflection is stored for its task and, if the graph has an experience memory, for similar
    tasks.
    """

    async def reflect(state: ReflexionState, runtime: Runtime[Context]) -> ReflexionUpdate:
        """Write a reflection on the failed attempt, and store it."""
        context = Context.of(runtime)
        attempt = state.attempts[-1]
        earlier = [reflection.text for reflection in state.reflections[-context.window :]]
        prompt = reflect_prompt(transcript(attempt.messages), earlier, feedback(attempt.verdict))
        reply = await ask(
            reflector,
            prompt,
            context,
            workspace,
            graph="reflexion",
            environment=state.task.environment,
        )
        text = text_of(reply.message).strip()
        event = {"type": "reflexion.reflection", "task": state.task.id, "trial": attempt.trial}
        runtime.stream_writer({**event, "text": text})
        usage = state.reflection_usage + reply.usage
        if not text:
            return {"reflection_usage": usage}
        reflection = Reflection(text=text, trial=attempt.trial)
        own = Reflections(runtime.store, context.tenant, state.task)
        await own.add(state.run_name, reflection)
        if experience := await experience_of(runtime, record_to, workspace):
            await experience.record([attempt])
            await experience.reflect(attempt.id, text)
        return {"reflections": [*state.reflections, reflection], "reflection_usage": usage}

    return reflect


def feedback(verdict: Verdict) -> str:
    """Put a verdict into words for the reflection prompt: a partial score, and the feedback."""
    score = verdict.score or 0.0
    score_text = f"Score: {score:.2f} of 1. " if 0 < score < 1 else ""
    return f"{score_text}{verdict.feedback}".strip()
