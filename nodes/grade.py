"""grade: the judge has the last word on an attempt.

The judge is the caller's own, if there is one. Otherwise the context names who grades an open task:
a model by the task's rubric, a person, or nobody yet. If a judge fails, the verdict stays unknown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from langchain_core.messages import AnyMessage
from langgraph.errors import GraphBubbleUp
from langgraph.runtime import Runtime

from apprentice.nodes import Node
from apprentice.nodes.agents import RETRY, Agent, ask, call
from apprentice.nodes.person import by_person
from apprentice.state.context import NO_ADAPTER, Context
from apprentice.state.episode import EpisodeState, EpisodeUpdate
from apprentice.state.errors import ApprenticeError, BadInput, ModelFailure, ModelUnavailable
from apprentice.state.prompts import grade_prompt
from apprentice.state.redaction import public_message
from apprentice.state.rubric import RUBRIC, is_open, read_judgement, unknown
from apprentice.state.trajectory import Task, Verdict, text_of
from apprentice.workspace import Workspace

Judge = (
    Callable[[Task, Sequence[AnyMessage], Verdict], Verdict]
    | Callable[[Task, Sequence[AnyMessage], Verdict], Awaitable[Verdict]]
)
JUDGEMENT_TOKENS: Final = 1024


def grade_with(
    judge: Judge | None, workspace: Workspace, *, person: bool = False
) -> Node[EpisodeState, EpisodeUpdate]:
    """Return the node that grades an attempt.

    Args:
        judge: the caller's own judge.
        workspace: has the models that may grade.
        person: whether the node may ask a person.
    """

    async def grade(state: EpisodeState, runtime: Runtime[Context]) -> EpisodeUpdate:
        """Ask the judge for the verdict."""
        context, verdict_so_far = Context.of(runtime), state.verdict or Verdict()
        messages = tuple(state.messages)
        try:
            if judge:
                verdict = await call(judge, state.task, messages, verdict_so_far)
            elif context.judge == "model":
                verdict = await by_rubric(state.task, messages, verdict_so_far, context, workspace)
            elif context.judge == "person" and person:
                verdict = by_person(state.task, messages)
            else:
                verdict = verdict_so_far
        except GraphBubbleUp:  # LangGraph's way to put a question to a person
            raise
        except Exception as error:  # a judge is the caller's code and may raise anything
            if _to_raise(error, runtime):
                raise
            reason = public_message(error)
            verdict = unknown(f"The judge failed ({type(error).__name__}: {reason}).")
        if not isinstance(verdict, Verdict):
            raise BadInput(
                f"The judge returned a {type(verdict).__name__}, but must return a Verdict."
            )
        event = {"type": "episode.verdict", "task": state.task.id}
        runtime.stream_writer({**event, **verdict.model_dump()})
        return {"verdict": verdict}

    return grade


def awaits(task: Task, verdict: Verdict) -> bool:
    """Tell whether a complete attempt at an open task still lacks a verdict."""
    return is_open(task) and verdict.success is None and not verdict.interrupted


async def by_rubric(
    task: Task,
    messages: Sequence[AnyMessage],
    verdict: Verdict,
    context: Context,
    workspace: Workspace,
    agent: Agent | None = None,
) -> Verdict:
    """Let a plain model grade an attempt by its task's rubric; without a rubric, keep the verdict.

    Args:
        task: has the rubric in its metadata.
        messages: the attempt.
        verdict: the environment's verdict.
        context: names the model.
        workspace: has the model.
        agent: grades in the model's place.
    """
    rubric = [str(criterion) for criterion in task.metadata.get(RUBRIC, ())]
    if not rubric:
        return verdict
    settings = replace(
        context,
        model=context.judge_model or context.model,
        adapter=NO_ADAPTER,  # an adapter under evaluation must not grade itself
        temperature=0.0,
        max_tokens=JUDGEMENT_TOKENS,
    )
    reply = await ask(
        agent,
        grade_prompt(messages, rubric),
        settings,
        workspace,
        graph="judge",
        environment=task.environment,
    )
    return read_judgement(text_of(reply.message), rubric)


def _to_raise(error: Exception, runtime: Runtime[Context]) -> bool:
    """Tell whether an error comes from the settings, or may pass when the node is retried."""
    if isinstance(error, ModelUnavailable):
        info = runtime.execution_info
        return info is not None and info.node_attempt < RETRY.max_attempts
    return isinstance(error, ApprenticeError) and not isinstance(error, ModelFailure)
