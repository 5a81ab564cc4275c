"""Task, Verdict, Observation, Usage, InView, Reflection and Trajectory.

They are frozen pydantic models, because callers, files and stores write them. Each is validated on
entry. What is stored by itself carries a schema version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar, Literal

from langchain_core.messages import AnyMessage
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat

SCHEMA_VERSION = 1

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
Split = Annotated[str, Field(max_length=40, pattern=r"^[a-z_]+$")]
Score = Annotated[FiniteFloat, Field(ge=0, le=1), AfterValidator(lambda score: round(score, 15))]
"""0 to 1, rounded to 15 digits, which every store reads back unchanged."""
Source = Literal["environment", "rule", "schema", "model", "human", "late"]


class FrozenModel(BaseModel):
    """Base of the nouns: immutable, and strict about unknown fields.

    Attributes:
        stored_as: the kind that the Store files it under; its class name where empty.
    """

    stored_as: ClassVar[str] = ""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Task(FrozenModel):
    """One thing to do in one environment.

    The environment can rebuild everything about a task from its id, so a task may travel
    through checkpoints, stores and processes as it is.

    Example:
        >>> Task(environment="returns-desk", id="ticket 7", kind="parcel").kind
        'parcel'
    """

    id: Name = Field(title="Task", description="The task's id within its environment.")
    environment: Name = Field(title="Environment", description="The environment's name.")
    instruction: str = Field(default="", max_length=20_000, title="Instruction")
    kind: str = Field(default="", max_length=80, title="Kind", description="The type of task.")
    split: Split = Field(default="train", title="Split")
    metadata: dict[str, Any] = Field(default_factory=dict, title="Metadata")


class Verdict(FrozenModel):
    """How an attempt ended. `success` is None while it is unknown.

    `interrupted` says that the attempt was broken off from outside, so that it shows nothing of
    the agent: it is kept on record, and another one takes its place.

    Example:
        >>> Verdict(success=False, feedback="Never looked the order up.").success
        False
    """

    success: bool | None = Field(default=None, title="Success")
    score: Score | None = Field(default=None, title="Score", description="0 to 1.")
    feedback: str = Field(default="", max_length=20_000, title="Feedback")
    source: Source = Field(default="environment", title="Source")
    interrupted: bool = Field(default=False, title="Interrupted")


class Observation(FrozenModel):
    """An environment's answer to an action.

    `admissible` is information about the environment for tests and tools; it is never shown
    to an agent. A `verdict` ends the attempt where the score alone does not tell how: success is
    a score of 1 unless a verdict says otherwise.

    Example:
        >>> Observation(text="You arrive at shelf 1.").done
        False
    """

    text: str
    score: FiniteFloat = 0.0
    done: bool = False
    admissible: tuple[str, ...] = ()
    verdict: Verdict | None = None

    @property
    def over(self) -> bool:
        """Whether the attempt has ended."""
        return self.done or self.verdict is not None


class Usage(FrozenModel):
    """What an attempt cost: model calls, tokens in and out, wall-clock seconds."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: FiniteFloat = 0.0

    @property
    def tokens(self) -> int:
        """Tokens in and out."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            seconds=self.seconds + other.seconds,
        )


class Reflection(FrozenModel):
    """An insight into one task, and the trial that failed before it (counted from 1)."""

    text: str = Field(max_length=20_000)
    trial: int = Field(ge=1)


class InView(FrozenModel):
    """What the prompt showed beside the task, by id, so that its effect can be traced."""

    rules: tuple[str, ...] = ()
    rulebook_version: str = ""
    exemplars: tuple[str, ...] = ()
    reflections: tuple[Reflection, ...] = ()


class Trajectory(FrozenModel):
    """One attempt at one task: its messages, its verdict, what was shown, its cost.

    Example:
        >>> task = Task(environment="returns-desk", id="ticket 7")
        >>> Trajectory(id="1", task=task, messages=()).verdict.success is None
        True
    """

    id: Name
    schema_version: int = SCHEMA_VERSION
    tenant: Name = "default"
    task: Task
    run: str = ""
    trial: int = Field(default=1, ge=1)
    messages: tuple[AnyMessage, ...]
    verdict: Verdict = Verdict()
    in_view: InView = InView()
    model: str = ""
    adapter: str = ""
    usage: Usage = Usage()
    ended_at: FiniteFloat | None = Field(default=None, description="Unix time in seconds.")


def trajectory_id(tenant: str, task: Task, run: str, trial: int) -> str:
    """Derive the id of an attempt, so that recording it twice is recording it once."""
    return digest(tenant, task.environment, task.id, run, trial)


def digest(*parts: Any) -> str:
    """Hash JSON-able parts to 32 hexadecimal digits."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def text_of(message: AnyMessage) -> str:
    """Return a message's text; block lists are joined, other blocks are left out."""
    return str(message.text)


def transcript(messages: Sequence[AnyMessage]) -> str:
    """Render an episode as text: the agent's lines behind '> ', the environment's as they are."""
    return render_turns((message.type, text_of(message)) for message in messages)


def render_turns(turns: Iterable[tuple[str, str]]) -> str:
    """Render an episode, given as pairs of message type and text."""
    lines: list[str] = []
    for kind, body in turns:
        if kind == "ai":
            lines.extend(f"> {line}" for line in body.splitlines() if line.strip())
        elif kind != "system":
            lines.append(body)
    return "\n".join(lines)
