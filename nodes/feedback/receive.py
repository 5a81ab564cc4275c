"""receive: what came from outside is read and checked."""

from __future__ import annotations

import asyncio
import time
from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command
from pydantic import TypeAdapter

from apprentice.environments.registry import known
from apprentice.nodes.tasks import read, read_name, read_task
from apprentice.state.context import Context
from apprentice.state.errors import BadInput
from apprentice.state.feedback import (
    FeedbackGiven,
    FeedbackUpdate,
    SentTask,
    SentVerdict,
    task_of,
)
from apprentice.state.messages import read_messages
from apprentice.state.nouns import Task, Trajectory, Verdict
from apprentice.state.submission import as_stored, sent_id

_TASK = TypeAdapter[SentTask](SentTask)
_VERDICT = TypeAdapter[SentVerdict](SentVerdict)


async def receive(
    state: FeedbackGiven, runtime: Runtime[Context]
) -> Command[Literal["record", "annotate"]]:
    """Read a transcript to record, or a verdict on an attempt that is kept."""
    given = SentVerdict() if state.verdict is None else read(_VERDICT, "verdict", state.verdict)
    name = read_name("trajectory", state.trajectory)
    if state.messages is None:
        if not name or not given:
            raise BadInput(
                "There is nothing to keep. Send the messages of an attempt, or the id of a kept "
                "trajectory with a verdict: success, a score or feedback."
            )
        update: FeedbackUpdate = {"id": name, "judgement": given, "attempt": None}
        return Command(update=update, goto="annotate")
    sent = SentTask() if state.task is None else read(_TASK, "task", state.task)
    attempt = await asyncio.to_thread(_read_attempt, state, sent, name, given, Context.of(runtime))
    said = [field for field in sorted(sent.model_fields_set) if getattr(sent, field)]
    update = {"id": attempt.id, "judgement": given, "attempt": attempt, "named_fields": said}
    return Command(update=update, goto="record")


def _read_attempt(
    state: FeedbackGiven, sent: SentTask, name: str, given: SentVerdict, context: Context
) -> Trajectory:
    messages = read_messages(state.messages)
    task = _looked_up(sent) if _is_here(sent.environment) else task_of(sent, messages)
    return as_stored(
        Trajectory(
            id=sent_id(context.tenant, task, messages, name),
            tenant=context.tenant,
            task=task,
            messages=messages,
            verdict=given.over(Verdict(source=given.source)) if given else Verdict(),
            model=read_name("model", state.model),
            ended_at=time.time(),
        )
    )


def _is_here(environment: str) -> bool:
    """Tell whether a name is, or is meant to be, that of an environment that is known here."""
    return environment.partition("/")[0] in {name.partition("/")[0] for name in known()}


def _looked_up(sent: SentTask) -> Task:
    """Return an environment's own task: what is held out there cannot be passed off as training."""
    if not sent.id:
        raise BadInput(
            f"The task of an attempt in {sent.environment!r} has no id. Name one of its tasks, or "
            "another environment of your own."
        )
    return read_task({"environment": sent.environment, "id": sent.id})
