"""Types of the episode graph: input, state and output."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Required

from langchain_core.messages import AnyMessage, RemoveMessage
from langgraph.channels import EphemeralValue
from langgraph.graph.message import add_messages
from pydantic import Field
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

from apprentice.state.prompts import Shown
from apprentice.state.trajectory import InView, Name, Task, Usage, Verdict

GivenTask = Annotated[
    Task, Field(title="Task", description="Its environment and id; the rest is looked up.")
]


class EpisodeInput(TypedDict, total=False):
    """The task, and options of this run.

    Options do not carry over to a later run on the same thread.
    """

    task: Required[GivenTask]
    run: Annotated[
        Name,
        Field(title="Run", description="Name of this run, part of its attempt's id."),
        EphemeralValue(str),
    ]
    shown: Annotated[
        Shown,
        Field(title="Shown", description="What the prompt shows: rules, exemplars, reflections."),
        EphemeralValue(Shown),
    ]


@dataclass
class EpisodeGiven:
    """An input before validation."""

    task: object = None
    run: object = ""
    shown: object = None


class EpisodeUpdate(TypedDict, total=False):
    """What a node of the episode changes."""

    task: Task
    run_name: str
    messages: list[AnyMessage | RemoveMessage]
    steps: int
    verdict: Verdict | None
    usage: Usage
    in_view: InView
    view: Shown
    similar_steps: list[str]
    adapter: str
    trajectory: str


class EpisodeOutput(TypedDict):
    """One attempt: the transcript, its verdict and its cost."""

    task: Task
    messages: Annotated[list[AnyMessage], add_messages]
    steps: Annotated[int, Field(title="Steps", description="Actions carried out.")]
    verdict: Verdict
    usage: Usage
    in_view: Annotated[InView, Field(title="In view", description="What was shown, by id.")]
    adapter: Annotated[str, Field(title="Adapter", description="The LoRA that acted.")]
    trajectory: Annotated[
        str,
        Field(
            title="Trajectory",
            description="Id of the stored attempt, for later feedback. Empty if it is not stored.",
        ),
    ]


@pydantic_dataclass
class EpisodeState:
    """An attempt so far. The messages are the whole state of its environment.

    `view` is what the first message shows. `similar_steps` are shown with it in the next turn only
    and are not part of the transcript.

    Validated, because a state also comes from people's edits and from checkpointers that hand
    back plain JSON.
    """

    task: Task
    run_name: str = ""
    messages: Annotated[list[AnyMessage], add_messages] = field(default_factory=list)
    steps: int = 0
    verdict: Verdict | None = None
    usage: Usage = field(default_factory=Usage)
    in_view: InView = field(default_factory=InView)
    view: Shown = field(default_factory=Shown)
    similar_steps: list[str] = field(default_factory=list)
    adapter: str = ""
    trajectory: str = ""
