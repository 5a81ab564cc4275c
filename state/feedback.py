"""Types of the feedback graph: input, state and output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from langchain_core.messages import AnyMessage
from langgraph.channels import EphemeralValue
from pydantic import Field
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

from apprentice.state.experience import RECALLABLE
from apprentice.state.trajectory import (
    FrozenModel,
    Name,
    Source,
    Split,
    Task,
    Trajectory,
    Verdict,
    digest,
    text_of,
)

ELSEWHERE: Final = "elsewhere"
"""The environment of attempts whose sender names none."""

FeedbackEffect = Literal["recorded", "known", "judged", "unchanged"]


class SentTask(FrozenModel):
    """The task of an attempt from outside, as far as its sender describes it."""

    environment: Name = Field(
        default=ELSEWHERE,
        title="Environment",
        description="Where the agent acted: one that is known here, or a name of your own.",
    )
    id: Annotated[str, Field(max_length=200)] = Field(
        default="",
        title="Task",
        description="The task's id. Attempts at one task are never shown to each other. Left "
        "out, what was asked for is the id.",
    )
    instruction: str = Field(
        default="",
        max_length=20_000,
        title="Instruction",
        description="What was asked for. Left out, it is the first message of the user.",
    )
    kind: str = Field(
        default="", max_length=80, title="Kind", description="The type of task, such as refund."
    )
    split: Split = Field(
        default=RECALLABLE,
        title="Split",
        description="train, or any other name for attempts that are to be held out.",
    )


class SentVerdict(FrozenModel):
    """A verdict from outside. What is left out stays as it was, unless success is given."""

    success: bool | None = Field(
        default=None, title="Success", description="Whether the task was solved."
    )
    score: float | None = Field(
        default=None, ge=0, le=1, title="Score", description="How well, from 0 to 1."
    )
    feedback: str = Field(
        default="", max_length=20_000, title="Feedback", description="Why, in free text."
    )
    source: Source = Field(default="late", title="Source", description="Who judged.")

    def __bool__(self) -> bool:
        """Tell whether it has a success, a score or feedback."""
        return self.success is not None or self.score is not None or bool(self.feedback)

    def over(self, before: Verdict) -> Verdict:
        """Return this verdict, completed with an earlier one."""
        if self.success is not None:
            return Verdict(**self.model_dump())
        return Verdict(
            success=before.success,
            score=before.score if self.score is None else self.score,
            feedback=self.feedback or before.feedback,
            source=self.source,
        )


class FeedbackInput(TypedDict, total=False):
    """An attempt that was made elsewhere, a verdict on a stored attempt, or both."""

    messages: Annotated[
        list[Any],
        Field(
            title="Messages",
            description="The transcript of an attempt: LangChain's, OpenAI's or plain messages.",
        ),
        EphemeralValue(list),
    ]
    trajectory: Annotated[
        Name,
        Field(
            title="Trajectory",
            description="Id of the attempt that is judged; beside messages, your own id for it.",
        ),
        EphemeralValue(str),
    ]
    task: Annotated[
        SentTask,
        Field(title="Task", description="What the attempt was at; only beside messages."),
        EphemeralValue(SentTask),
    ]
    verdict: Annotated[
        SentVerdict,
        Field(title="Verdict", description="How the attempt ended. It may also come later."),
        EphemeralValue(SentVerdict),
    ]
    model: Annotated[
        str,
        Field(
            title="Model", description="Which model acted; only beside messages.", max_length=200
        ),
        EphemeralValue(str),
    ]


@dataclass
class FeedbackGiven:
    """An input before validation."""

    messages: object = None
    trajectory: object = ""
    task: object = None
    verdict: object = None
    model: object = ""


class FeedbackUpdate(TypedDict, total=False):
    """What a node of feedback changes."""

    id: str
    attempt: Trajectory | None
    named_fields: list[str]
    judgement: SentVerdict
    latest: Verdict
    effect: FeedbackEffect


class FeedbackOutput(TypedDict):
    """The stored attempt and the verdict that counts."""

    id: Annotated[str, Field(title="Id", description="Of the trajectory, for a later verdict.")]
    effect: Annotated[FeedbackEffect, Field(title="Effect", description="What this run changed.")]
    latest: Annotated[Verdict, Field(title="Verdict", description="The one that counts.")]


@pydantic_dataclass
class FeedbackState:
    """The attempt or verdict that was received, and its effect.

    `named_fields` are the fields of the task that the sender gave.
    """

    id: str
    judgement: SentVerdict
    attempt: Trajectory | None = None
    named_fields: list[str] = field(default_factory=list)
    latest: Verdict = Verdict()
    effect: FeedbackEffect = "unchanged"


def task_of(sender_task: SentTask, messages: Sequence[AnyMessage]) -> Task:
    """Return the task of an attempt from outside; its id defaults to a hash of the instruction."""
    requests = (text_of(message) for message in messages if message.type == "human")
    instruction = sender_task.instruction or next(requests, "")[:20_000]
    return Task(
        id=sender_task.id or digest(instruction),
        environment=sender_task.environment,
        instruction=instruction,
        kind=sender_task.kind,
        split=sender_task.split,
    )
