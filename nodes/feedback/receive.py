"""receive: read and check an attempt or a verdict from outside."""

from __future__ import annotations

import asyncio
import time
from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command
from pydantic import TypeAdapter

from apprentice.nodes import Node
from apprentice.nodes.inputs import read, read_name, read_task
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
from apprentice.state.submission import as_stored, sent_id
from apprentice.state.trajectory import Task, Trajectory, Verdict
from apprentice.workspace import Workspace

Next = Literal["record", "annotate"]
_TASK = TypeAdapter[SentTask](SentTask)
_VERDICT = TypeAdapter[SentVerdict](SentVerdict)


def receive_in(workspace: Workspace) -> Node[FeedbackGiven, Command[Next]]:
    """Return the node that reads an attempt or a verdict from outside."""

    async def receive(state: FeedbackGiven, runtime: Runtime[Context]) -> Command[Next]:
        """Read a transcript to record, or a verdict on a stored attempt."""
        sent_verdict = (
            SentVerdict() if state.verdict is None else read(_VERDICT, "verdict", state.verdict)
        )
        name = read_name("trajectory", state.trajectory)
        if state.messages is None:
            if not name or not sent_verdict:
                raise BadInput(
                    "There is nothing to record. Send the messages of an attempt, or the id of a "
                    "stored trajectory with a verdict: success, a score or feedback."
                )
            update: FeedbackUpdate = {"id": name, "judgement": sent_verdict, "attempt": None}
            return Command(update=update, goto="annotate")
        sent_task = SentTask() if state.task is None else read(_TASK, "task", state.task)
        attempt = await asyncio.to_thread(
            _read_attempt, state, sent_task, name, sent_verdict, Context.of(runtime), workspace
        )
        named_fields = [
            field for field in sorted(sent_task.model_fields_set) if getattr(sent_task, field)
        ]
        update = {
            "id": attempt.id,
            "judgement": sent_verdict,
            "attempt": attempt,
            "named_fields": named_fields,
        }
        return Command(update=update, goto="record")

    return receive


def _read_attempt(
    state: FeedbackGiven,
    sent_task: SentTask,
    name: str,
    sent_verdict: SentVerdict,
    context: Context,
    workspace: Workspace,
) -> Trajectory:
    messages = read_messages(state.messages)
    here = _is_here(sent_task.environment, workspace)
    task = _looked_up(sent_task, workspace) if here else task_of(sent_task, messages)
    return as_stored(
        Trajectory(
            id=sent_id(context.tenant, task, messages, name),
            tenant=context.tenant,
            task=task,
            messages=messages,
            verdict=sent_verdict.over(Verdict(source=sent_verdict.source))
            if sent_verdict
            else Verdict(),
            model=read_name("model", state.model),
            ended_at=time.time(),
        )
    )


def _is_here(environment: str, workspace: Workspace) -> bool:
    """Tell whether a name belongs to the family of an environment that is known here."""
    names = workspace.environments.names()
    return environment.partition("/")[0] in {name.partition("/")[0] for name in names}


def _looked_up(sent_task: SentTask, workspace: Workspace) -> Task:
    """Return an environment's own task, so that nobody can pass a held-out task as training."""
    if not sent_task.id:
        raise BadInput(
            f"The task of an attempt in {sent_task.environment!r} has no id. Name one "
            "of its tasks, or another environment of your own."
        )
    return read_task({"environment": sent_task.environment, "id": sent_task.id}, workspace)
