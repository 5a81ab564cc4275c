"""Types of the reflexion graph: input, state and output."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, Required

from langgraph.channels import EphemeralValue
from pydantic import Field
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

from apprentice.state.episode import GivenTask
from apprentice.state.prompts import Shown
from apprentice.state.trajectory import Name, Reflection, Task, Trajectory, Usage, Verdict

ReflexionOutcome = Literal["solved", "failed", "unjudged", "skipped", "solved_before"]


class ReflexionInput(TypedDict, total=False):
    """The task, and options of this run. Options do not carry over to later runs."""

    task: Required[GivenTask]
    run: Annotated[
        Name,
        Field(title="Run", description="Name of this run, part of its attempts' ids."),
        EphemeralValue(str),
    ]
    skip: Annotated[
        bool,
        Field(title="Skip", description="Do not attempt this task."),
        EphemeralValue(bool),
    ]
    afresh: Annotated[
        bool,
        Field(
            title="Afresh",
            description="Ignore earlier runs: their reflections, and whether they solved the task.",
        ),
        EphemeralValue(bool),
    ]
    shown: Annotated[
        Shown,
        Field(title="Shown", description="What every attempt is shown beside its reflections."),
        EphemeralValue(Shown),
    ]


@dataclass
class ReflexionGiven:
    """An input before validation."""

    task: object = None
    run: object = ""
    skip: object = False
    afresh: object = False
    shown: object = None


class ReflexionUpdate(TypedDict, total=False):
    """What a node of reflexion changes."""

    task: Task
    run_name: str
    background: Shown
    attempts: list[Trajectory]
    reflections: list[Reflection]
    trials: int
    verdict: Verdict
    outcome: ReflexionOutcome | None
    reflection_usage: Usage


class ReflexionOutput(TypedDict):
    """The outcome, every attempt of this run, and every reflection on the task."""

    task: Task
    outcome: Annotated[ReflexionOutcome, Field(title="Outcome", description="How the run ended.")]
    verdict: Verdict
    trials: Annotated[int, Field(title="Trials", description="Attempts made in this run.")]
    attempts: list[Trajectory]
    reflections: list[Reflection]
    reflection_usage: Annotated[
        Usage, Field(title="Reflection usage", description="What this run's reflections cost.")
    ]


@pydantic_dataclass
class ReflexionState:
    """A run so far. `reflections` holds those of earlier runs too, the oldest first."""

    task: Task
    run_name: str = ""
    background: Shown = field(default_factory=Shown)
    attempts: list[Trajectory] = field(default_factory=list)
    reflections: list[Reflection] = field(default_factory=list)
    trials: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    outcome: ReflexionOutcome | None = None
    reflection_usage: Usage = field(default_factory=Usage)
