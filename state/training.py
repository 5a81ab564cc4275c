"""What the training graph reads, passes on and returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Final, Literal, Required

from langgraph.channels import EphemeralValue
from pydantic import Field
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

from apprentice.state.advice import Advice, AvailableData, Circumstances
from apprentice.state.gate import Decision, Pair
from apprentice.state.nouns import Name, Noun

Stage = Literal["waiting", "held_off", "refused", "training", "failed", "promoted", "rejected"]
THRESHOLD: Final = 200
HELD_OUT: Final = 240


class TrainingInput(TypedDict, total=False):
    """What to look after. All are values of one run alone."""

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
            description="Judged attempts since the last training that are enough for another.",
            ge=1,
            le=1_000_000,
        ),
        EphemeralValue(int),
    ]
    circumstances: Annotated[
        Circumstances,
        Field(title="Circumstances", description="What for, how much of it, at which prices."),
        EphemeralValue(Circumstances),
    ]
    settings: Annotated[
        dict[str, Any],
        Field(
            title="Settings",
            description="Of the job, such as epochs or rank: see "
            "python -m apprentice.training.sft --help.",
        ),
        EphemeralValue(dict),
    ]
    strip: Annotated[
        bool,
        Field(
            title="Strip",
            description="Take rules and examples that were in view out of what is learned; what "
            "succeeded with reflections on its own task in view is then left out.",
        ),
        EphemeralValue(bool),
    ]
    held_out: Annotated[
        int,
        Field(
            title="Held-out tasks",
            description="Tasks that the new adapter is tried on, at most.",
            ge=1,
            le=5_000,
        ),
        EphemeralValue(int),
    ]
    keep: Annotated[
        list[Name],
        Field(
            title="Not to be forgotten",
            description="Other environments, in which the adapter must not be worse.",
            max_length=10,
        ),
        EphemeralValue(list),
    ]
    follow: Annotated[
        bool,
        Field(title="Follow", description="Wait for the job; otherwise look once."),
        EphemeralValue(bool),
    ]
    again: Annotated[
        bool,
        Field(title="Again", description="Take up a round whose job failed once more."),
        EphemeralValue(bool),
    ]


@dataclass
class TrainingGiven:
    """An input as it arrives, before anything in it is checked."""

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
    """What was found to be done, and what came of it."""

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
        kept: other environments, in which the adapter must not be worse.
        seen: when the latest attempt that was surveyed was judged.
        launched: whether this run has launched the job already.
        number: of the round that is open, or that would be begun.
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


class AdapterComparison(Noun):
    """How one held-out task ended without the new adapter, with it, and with none at all.

    `against` is the adapter that was in force, '' for none.
    `control` is None where the new adapter has only to be no worse. It is not `judged` where an
    attempt has no verdict; then how it ended says nothing.
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
        """What the gate is told."""
        return Pair(self.family, self.incumbent, self.candidate, self.control, self.judged)
