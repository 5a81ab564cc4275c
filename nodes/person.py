"""A person judges: the run waits until somebody has answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AnyMessage
from langgraph.types import interrupt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from apprentice.state.errors import BadInput
from apprentice.state.nouns import Task, Verdict, text_of
from apprentice.state.rubric import RUBRIC


class Said(BaseModel):
    """What a person answers: `success` is null where they cannot tell."""

    model_config = ConfigDict(strict=True, extra="forbid")

    success: bool | None
    score: float | None = Field(default=None, ge=0, le=1)
    feedback: str = Field(default="", max_length=20_000)


def by_person(task: Task, messages: Sequence[AnyMessage]) -> Verdict:
    """Ask for a verdict, again for as long as the answer is none; see `Said` for what one is.

    Call it before anything that must not be done twice: the node runs again when the answer comes.
    """
    asked: dict[str, Any] = {
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
            return read_said(interrupt(asked))
        except BadInput as error:
            asked = {**asked, "refused": str(error)}


def read_said(given: object) -> Verdict:
    """Return the verdict that a person gave, as it came from a form.

    Raises:
        BadInput: if it is none, or contradicts itself.
    """
    if isinstance(given, bool):
        given = {"success": given}
    try:
        said = (
            Said.model_validate_json(given)
            if isinstance(given, str) and given.strip().startswith("{")
            else Said.model_validate(given)
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "verdict"
        raise BadInput(
            f"The {where!r} cannot be read: {first['msg']}. Answer true, false, or "
            '{"success": true, "score": 0.8, "feedback": "…"}.'
        ) from error
    if (said.success, said.score) in ((True, 0.0), (False, 1.0)):
        raise BadInput(
            f"Success is {said.success}, but the score is {said.score:g}. Say which holds."
        )
    return Verdict(**said.model_dump(), source="human")
