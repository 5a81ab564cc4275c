"""Types of the expel graph: input, state and output."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, Literal, Required

from langgraph.channels import EphemeralValue
from pydantic import Field
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

from apprentice.state.critique import CHUNK, CritiqueEvidence
from apprentice.state.gate import Decision, Pair
from apprentice.state.releases import Release
from apprentice.state.review import QuarantinedOperation, RuleChange
from apprentice.state.rules import Rejection, Rule
from apprentice.state.trajectory import FrozenModel, Name, Task

TASKS: Final = 24
MAX_TASKS: Final = 2_000
HELD_OUT: Final = 240
MAX_HELD_OUT: Final = 5_000
MAX_CHUNK: Final = 32

ExpelOutcome = Literal["published", "rejected", "undecided", "unchanged", "declined", "overtaken"]


class ExpelInput(TypedDict, total=False):
    """What to learn from. Values of one run alone."""

    environment: Required[
        Annotated[
            Name,
            Field(title="Environment", description="Where to learn, such as household/north/small"),
        ]
    ]
    tasks: Annotated[
        int,
        Field(
            title="Tasks",
            description="Training tasks to attempt. 0 validates the draft as it is.",
            ge=0,
            le=MAX_TASKS,
        ),
        EphemeralValue(int),
    ]
    held_out: Annotated[
        int,
        Field(
            title="Held-out tasks",
            description="Held-out tasks that the gate compares on, at most.",
            ge=0,
            le=MAX_HELD_OUT,
        ),
        EphemeralValue(int),
    ]
    chunk: Annotated[
        int,
        Field(
            title="Chunk",
            description="Successes per question to the critic, at most; fewer if they are long.",
            ge=1,
            le=MAX_CHUNK,
        ),
        EphemeralValue(int),
    ]
    review: Annotated[
        bool,
        Field(title="Review", description="Ask a person before anything is validated."),
        EphemeralValue(bool),
    ]
    run: Annotated[
        Name,
        Field(title="Run", description="Name of this run. The same name again continues it."),
        EphemeralValue(str),
    ]


@dataclass
class ExpelGiven:
    """An input before validation."""

    environment: object = None
    tasks: object = None
    held_out: object = None
    chunk: object = None
    review: object = False
    run: object = ""


class RuleComparison(FrozenModel):
    """The outcomes at one held-out task with the incumbent's rules, the candidate's, and none.

    `judged` is false if an attempt has no verdict. Then the comparison does not count.
    """

    stored_as: ClassVar[str] = "compared"

    task: str
    family: str
    incumbent: bool
    candidate: bool
    control: bool
    judged: bool = True

    @property
    def pair(self) -> Pair:
        """The outcomes as the gate reads them."""
        return Pair(self.family, self.incumbent, self.candidate, self.control, self.judged)


class OperationCounts(FrozenModel):
    """How many of the critic's operations were applied, rejected and quarantined."""

    applied: int = 0
    rejected: int = 0
    quarantined: int = 0

    def __add__(self, other: OperationCounts) -> OperationCounts:
        return OperationCounts(
            applied=self.applied + other.applied,
            rejected=self.rejected + other.rejected,
            quarantined=self.quarantined + other.quarantined,
        )


class ExpelUpdate(TypedDict, total=False):
    """What a node of expel changes."""

    run_name: str
    environment: str
    tasks_drawn: list[Task]
    most_held_out: int
    chunk_size: int
    ask_person: bool
    incumbent: Release | None
    evidence: list[CritiqueEvidence]
    operations: OperationCounts
    rejections: list[Rejection]
    candidate: Release | None
    proposed: list[RuleChange]
    waiting: list[QuarantinedOperation]
    level: float
    looks: int
    validation: Decision | None
    outcome: ExpelOutcome | None
    reason: str


class ExpelOutput(TypedDict):
    """The result of a run."""

    run_name: Annotated[str, Field(title="Run", description="The run's name.")]
    outcome: Annotated[ExpelOutcome, Field(title="Outcome", description="How the run ended.")]
    reason: Annotated[str, Field(title="Reason", description="Why, as a sentence.")]
    operations: OperationCounts
    rejections: list[Rejection]
    candidate: Release | None
    validation: Decision | None


@pydantic_dataclass
class ExpelState:
    """A run so far. Attempts and comparisons are in the Store, under the run's name."""

    run_name: str
    environment: str
    tasks_drawn: list[Task] = field(default_factory=list)
    most_held_out: int = HELD_OUT
    chunk_size: int = CHUNK
    ask_person: bool = False
    incumbent: Release | None = None
    evidence: list[CritiqueEvidence] = field(default_factory=list)
    operations: OperationCounts = field(default_factory=OperationCounts)
    rejections: list[Rejection] = field(default_factory=list)
    candidate: Release | None = None
    proposed: list[RuleChange] = field(default_factory=list)
    waiting: list[QuarantinedOperation] = field(default_factory=list)
    level: float = 0.0
    looks: int = 0
    validation: Decision | None = None
    outcome: ExpelOutcome | None = None
    reason: str = ""

    @property
    def shown_now(self) -> tuple[Rule, ...]:
        """The rules that are released."""
        return self.incumbent.rules if self.incumbent else ()


@pydantic_dataclass
class ForTask:
    """The input of a node that runs once per task.

    Findings are stored under `run_name`: the run's name, or the gate's for a held-out task.
    """

    run_name: str
    task: Task
    arms: dict[str, list[str]] = field(default_factory=dict)
