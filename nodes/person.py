"""Ask a person for a verdict; the run waits until somebody answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AnyMessage
from langgraph.types import interrupt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from apprentice.state.errors import BadInput
from apprentice.state.rubric import RUBRIC
from apprentice.state.trajectory import Task, Verdict, text_of


class PersonVerdict(BaseModel):
    """What a person answers: `success` is null if they cannot tell."""

    model_config = ConfigDict(strict=True, extra="forbid")

    success: bool | None
    score: float | None = Field(default=None, ge=0, le=1)
    feedback: str = Field(default="", max_length=20_000)


def by_person(task: Task, messages: Sequence[AnyMessage]) -> Verdict:
    """Ask a person for a verdict until the answer is one; `PersonVerdict` has its fields.

    Call this before any step that must not happen twice: the node runs again when the answer comes.
    """
    question: dict[str, Any] = {
        "type": "verdict",
        "task": task.id,
        "environment": task.environment,
        "rubric": list(task.metadata.get(RUBRIC, ())),
        "transcript": [
            {"by": "agent" if message.type == "ai" else "request", "text": text_of(message)}
            for message in messages
            if message.type != "system"
        ],
        "answer": 'true, false, or {"success": true, "score": 0.8, "feedback": "…"}',
    }
    while True:
        try:
            return read_person_verdict(interrupt(question))
        except BadInput as error:
            question = {**question, "refused": str(error)}


def read_person_verdict(answer: object) -> Verdict:
    """Return a person's verdict from an answer, which may be JSON text from a form.

    Raises:
        BadInput: the answer is not a verdict, or it contradicts itself.
    """
    if isinstance(answer, bool):
        answer = {"success": answer}
    try:
        reply = (
            PersonVerdict.model_validate_json(answer)
            if isinstance(answer, str) and answer.strip().startswith("{")
            else PersonVerdict.model_validate(answer)
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "verdict"
        raise BadInput(
            f"The {where!r} cannot be read: {first['msg']}. Answer true, false, or "
            '{"success": true, "score": 0.8, "feedback": "…"}.'
        ) from error
    if (reply.success, reply.score) in ((True, 0.0), (False, 1.0)):
        raise BadInput(
            f"Success is {reply.success}, but the score is {reply.score:g}. Say which holds."
        )
    return Verdict(**reply.model_dump(), source="human")
