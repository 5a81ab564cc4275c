"""receive: what came from outside is read and checked."""

from __future__ import annotations

import asyncio
import time
from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command
from pydantic import TypeAdapter

from apprentice.nodes import Node
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
from apprentice.workspace import Workspace

Next = Literal["record", "annotate"]
_TASK = TypeAdapter[SentTask](SentTask)
_VERDICT = TypeAdapter[SentVerdict](SentVerdict)


def receive_in(workspace: Workspace) -> Node[FeedbackGiven, Command[Next]]:
    """Return the node that reads what came from outside."""

    async def receive(state: FeedbackGiven, runtime: Runtime[Context]) -> Command[Next]:
        """Read a transcript to record, or a verdict on an attempt that is kept."""
        given = SentVerdict() if state.verdict is None else read(_VERDICT, "verdict", state.verdict)
        name = read_name("trajectory", state.trajectory)
        if state.messages is None:
            if not name or not given:
                raise BadInput(
                    "There is nothing to keep. Send the messages of an attempt, or the id of a "
                    "kept trajectory with a verdict: success, a score or feedback."
                )
            update: FeedbackUpdate = {"id": name, "judgement": given, "attempt": None}
            return Command(update=update, goto="annotate")
        sent = SentTask() if state.task is None else read(_TASK, "task", state.task)
        attempt = await asyncio.to_thread(
            _read_attempt, state, sent, name, given, Context.of(runtime), workspace
        )
        said = [field for field in sorted(sent.model_fields_set) if getattr(sent, field)]
        update = {"id": attempt.id, "judgement": given, "attempt": attempt, "named_fields": said}
        return Command(update=update, goto="record")

    return receive


def _read_attempt(
    state: FeedbackGiven,
    sent: SentTask,
    name: str,
    given: SentVerdict,
    context: Context,
    workspace: Workspace,
) -> Trajectory:
    messages = read_messages(state.messages)
    here = _is_here(sent.environment, workspace)
    task = _looked_up(sent, workspace) if here else task_of(sent, messages)
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


def _is_here(environment: str, workspace: Workspace) -> bool:
    """Tell whether a name is, or is meant to be, that of an environment that is known here."""
    names = workspace.environments.known()
    return environment.partition("/")[0] in {name.partition("/")[0] for name in names}


def _looked_up(sent: SentTask, workspace: Workspace) -> Task:
    """Return an environment's own task: what is held out there cannot be passed off as training."""
    if not sent.id:
        raise BadInput(
            f"The task of an attempt in {sent.environment!r} has no id. Name one of its tasks, or "
            "another environment of your own."
        )
    return read_task({"environment": sent.environment, "id": sent.id}, workspace)
