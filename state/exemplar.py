"""Types of the exemplar graph: input, state and output."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, Required

from langgraph.channels import EphemeralValue
from pydantic import Field
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

from apprentice.state.episode import GivenTask
from apprentice.state.experience import Recollection
from apprentice.state.prompts import Shown
from apprentice.state.trajectory import Name, Task, Trajectory, Usage, Verdict

ExemplarOutcome = Literal["solved", "failed", "unjudged"]
Recollections = Annotated[
    list[Recollection],
    Field(title="Recollections", description="What was recalled, the most relevant first."),
]


class ExemplarInput(TypedDict, total=False):
    """The task, and options of this run. Options do not carry over to later runs."""

    task: Required[GivenTask]
    run: Annotated[
        Name,
        Field(title="Run", description="Name of this run, part of its attempt's id."),
        EphemeralValue(str),
    ]
    shown: Annotated[
        Shown,
        Field(title="Shown", description="What the attempt is shown beside what is recalled."),
        EphemeralValue(Shown),
    ]


@dataclass
class ExemplarGiven:
    """An input before validation."""

    task: object = None
    run: object = ""
    shown: object = None


class ExemplarUpdate(TypedDict, total=False):
    """What a node of exemplar changes."""

    task: Task
    run_name: str
    background: Shown
    recollections: list[Recollection]
    plan: str
    plan_usage: Usage
    attempts: list[Trajectory]
    verdict: Verdict
    outcome: ExemplarOutcome | None


class ExemplarOutput(TypedDict):
    """The outcome, and what the attempt was shown."""

    task: Task
    outcome: Annotated[
        ExemplarOutcome, Field(title="Outcome", description="How the attempt ended.")
    ]
    verdict: Verdict
    attempts: Annotated[list[Trajectory], Field(title="Attempts", description="The one attempt.")]
    recollections: Recollections
    plan: Annotated[str, Field(title="Plan", description="Adapted from the best exemplar.")]


@pydantic_dataclass
class ExemplarState:
    """A run so far. Without a plan, recollections are shown unchanged.

    `plan_usage` is what the plan cost. It is part of the attempt's usage.
    """

    task: Task
    run_name: str = ""
    background: Shown = field(default_factory=Shown)
    recollections: list[Recollection] = field(default_factory=list)
    plan: str = ""
    plan_usage: Usage = field(default_factory=Usage)
    attempts: list[Trajectory] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    outcome: ExemplarOutcome | None = None
