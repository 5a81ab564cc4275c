"""grade: who judges has the last word on an attempt.

The caller's own judge, if there is one. Else, for an open task, whom the context names: a model by
the task's rubric, a person, or nobody yet. A judge that fails leaves the verdict unknown.
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
from apprentice.state.nouns import Task, Verdict, text_of
from apprentice.state.prompts import grade_prompt
from apprentice.state.redaction import public_message
from apprentice.state.rubric import RUBRIC, is_open, read_judgement, unknown
from apprentice.workspace import Workspace

Judge = (
    Callable[[Task, Sequence[AnyMessage], Verdict], Verdict]
    | Callable[[Task, Sequence[AnyMessage], Verdict], Awaitable[Verdict]]
)
JUDGEMENT_TOKENS: Final = 1024


def grade_with(
    judge: Judge | None, workspace: Workspace, *, person: bool = False
) -> Node[EpisodeState, EpisodeUpdate]:
    """Return the node in which an attempt is judged.

    Args:
        judge: the caller's own.
        workspace: has the models that may judge.
        person: whether a person may be asked here.
    """

    async def grade(state: EpisodeState, runtime: Runtime[Context]) -> EpisodeUpdate:
        """Ask the judge for the verdict."""
        context, given = Context.of(runtime), state.verdict or Verdict()
        messages = tuple(state.messages)
        try:
            if judge:
                verdict = await call(judge, state.task, messages, given)
            elif context.judge == "model":
                verdict = await by_rubric(state.task, messages, given, context, workspace)
            elif context.judge == "person" and person:
                verdict = by_person(state.task, messages)
            else:
                verdict = given
        except GraphBubbleUp:  # a question to a person on its way out
            raise
        except Exception as error:  # a judge is anybody's code: it may raise what it likes
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
    """Return whether an attempt is at an open task, came to its end, and is not judged yet."""
    return is_open(task) and verdict.success is None and not verdict.interrupted


async def by_rubric(
    task: Task,
    messages: Sequence[AnyMessage],
    verdict: Verdict,
    context: Context,
    workspace: Workspace,
    agent: Agent | None = None,
) -> Verdict:
    """Let a plain model judge an attempt by its task's rubric; without one the verdict stays.

    Args:
        task: has the rubric in its metadata.
        messages: the attempt.
        verdict: the environment's.
        context: names the model.
        workspace: has it.
        agent: judges in the model's place.
    """
    rubric = [str(criterion) for criterion in task.metadata.get(RUBRIC, ())]
    if not rubric:
        return verdict
    settings = replace(
        context,
        model=context.judge_model or context.model,
        adapter=NO_ADAPTER,  # one that is tried out must not be its own judge
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
    """Return whether an error is a mistake of the settings, or passes if one asks again."""
    if isinstance(error, ModelUnavailable):
        info = runtime.execution_info
        return info is not None and info.node_attempt < RETRY.max_attempts
    return isinstance(error, ApprenticeError) and not isinstance(error, ModelFailure)
