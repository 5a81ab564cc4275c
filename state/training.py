"""Types of the training graph: input, state and output."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Final, Literal, Required

from langgraph.channels import EphemeralValue
from pydantic import Field
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

from apprentice.state.advice import Advice, AvailableData, Circumstances
from apprentice.state.gate import Decision, Pair
from apprentice.state.trajectory import FrozenModel, Name

Stage = Literal["waiting", "held_off", "refused", "training", "failed", "promoted", "rejected"]
THRESHOLD: Final = 200
HELD_OUT: Final = 240


class TrainingInput(TypedDict, total=False):
    """What to train, and options of this run. Options do not carry over to later runs."""

    environment: Required[
        Annotated[
            Name,
            Field(
                title="Environment",
                description="Whose attempts to learn from; toolcalls also means toolcalls/banking.",
            ),
        ]
    ]
    threshold: Annotated[
        int,
        Field(
            title="Threshold",
            description="Attempts with a new verdict that are enough to train again.",
            ge=1,
            le=1_000_000,
        ),
        EphemeralValue(int),
    ]
    circumstances: Annotated[
        Circumstances,
        Field(title="Circumstances", description="The needs, the volume and the prices."),
        EphemeralValue(Circumstances),
    ]
    settings: Annotated[
        dict[str, Any],
        Field(
            title="Settings",
            description="Settings of the job, such as epochs or rank: see "
            "python -m apprentice.training.sft --help.",
        ),
        EphemeralValue(dict),
    ]
    strip: Annotated[
        bool,
        Field(
            title="Strip",
            description="Remove the rules and exemplars that were shown from the training data. "
            "Successes that were shown reflections on their own task are then left out.",
        ),
        EphemeralValue(bool),
    ]
    held_out: Annotated[
        int,
        Field(
            title="Held-out tasks",
            description="Held-out tasks that the gate compares on, at most.",
            ge=1,
            le=5_000,
        ),
        EphemeralValue(int),
    ]
    keep: Annotated[
        list[Name],
        Field(
            title="Environments to keep",
            description="Other environments in which the adapter must not be worse.",
            max_length=10,
        ),
        EphemeralValue(list),
    ]
    follow: Annotated[
        bool,
        Field(title="Follow", description="Wait until the job ends. Otherwise the run looks once."),
        EphemeralValue(bool),
    ]
    again: Annotated[
        bool,
        Field(title="Again", description="Repeat a round whose job failed."),
        EphemeralValue(bool),
    ]


@dataclass
class TrainingGiven:
    """An input before validation."""

    environment: object = None
    threshold: object = None
    circumstances: object = None
    settings: object = None
    strip: object = True
    held_out: object = None
    keep: object = None
    follow: object = False
    again: object = False


class TrainingUpdate(TypedDict, total=False):
    """What a node of training changes."""

    environment: str
    base: str
    situation: Circumstances
    job_settings: dict[str, Any]
    strip_views: bool
    most: int
    other_environments: list[str]
    follow_job: bool
    evidence: AvailableData
    surveyed_until: float
    advice: Advice | None
    dataset: str
    job: str
    adapter: str
    progress: dict[str, Any]
    job_launched: bool
    number: int
    incumbent: str
    looks: int
    decisions: dict[str, Decision]
    stage: Stage
    reason: str


class TrainingOutput(TypedDict):
    """The stage of the training, the reason, and the results so far."""

    stage: Annotated[Stage, Field(title="Stage", description="Where the training stands.")]
    reason: Annotated[str, Field(title="Reason", description="Why, in a sentence or a few.")]
    evidence: AvailableData
    advice: Annotated[Advice | None, Field(title="Advice")]
    dataset: Annotated[str, Field(title="Dataset", description="Its folder's name.")]
    job: Annotated[str, Field(title="Job")]
    adapter: Annotated[str, Field(title="Adapter")]
    progress: Annotated[dict[str, Any], Field(title="Progress", description="The last word.")]
    decisions: Annotated[dict[str, Decision], Field(title="Decisions", description="The gates'.")]


@pydantic_dataclass
class TrainingState:
    """One look at the training of an environment.

    Attributes:
        base: plain name of the local model; '' when the run's model is hosted.
        other_environments: environments in which the adapter must not be worse.
        surveyed_until: time of the latest verdict that was surveyed.
        job_launched: whether this run has launched the job.
        number: of the open round, or of the next one.
        incumbent: the adapter that the new one was compared with; '' for none.
        looks: how often the held-out outcomes have been looked at.
        decisions: of the gates, by environment.
    """

    environment: str = ""
    base: str = ""
    situation: Circumstances = field(default_factory=Circumstances)
    job_settings: dict[str, Any] = field(default_factory=dict)
    strip_views: bool = True
    most: int = HELD_OUT
    other_environments: list[str] = field(default_factory=list)
    follow_job: bool = False
    evidence: AvailableData = field(default_factory=AvailableData)
    surveyed_until: float = 0.0
    advice: Advice | None = None
    dataset: str = ""
    job: str = ""
    adapter: str = ""
    progress: dict[str, Any] = field(default_factory=dict)
    job_launched: bool = False
    number: int = 0
    incumbent: str = ""
    looks: int = 0
    decisions: dict[str, Decision] = field(default_factory=dict)
    stage: Stage = "waiting"
    reason: str = ""


class AdapterComparison(FrozenModel):
    """The outcomes at one held-out task with the incumbent, the new adapter, and no adapter.

    `against` is the adapter that was in force, '' for none.
    `control` is None where the new adapter only has to be no worse. `judged` is false if an
    attempt has no verdict. Then the comparison does not count.
    """

    stored_as: ClassVar[str] = "tried"

    task: str
    family: str
    incumbent: bool
    candidate: bool
    control: bool | None = None
    judged: bool = True
    against: str = ""

    @property
    def pair(self) -> Pair:
        """The outcomes as the gate reads them."""
        return Pair(self.family, self.incumbent, self.candidate, self.control, self.judged)
