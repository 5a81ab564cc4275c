"""Questions to the experience memory, and its answers."""

from __future__ import annotations

from typing import Annotated, Final, Literal, NamedTuple

from pydantic import AfterValidator, Field, FiniteFloat

from apprentice.state.errors import BadInput
from apprentice.state.trajectory import FrozenModel, Name, Split, Task, Trajectory, Verdict

What = Literal["tasks", "steps", "reflections"]
How = Literal["hybrid", "meaning", "text", "type", "random"]
OutcomeFilter = Literal["successes", "failures", "any"]

RECALLABLE: Final[Split] = "train"
"""The only split whose attempts other tasks may see. All other splits are held out."""


_LAST: Final = 253_402_300_799  # the last second of the year 9999


def in_seconds(at: float) -> float:
    """Check a time that a caller gave.

    Raises:
        BadInput: if it cannot be Unix time in seconds; most often it is in milliseconds.
    """
    if not 0 <= at <= _LAST:
        raise BadInput(f"{at:g} is no Unix time in seconds. Divide milliseconds by 1,000.")
    return at


Timestamp = Annotated[float, AfterValidator(in_seconds)]
"""Unix time in seconds, given from outside."""


class Query(FrozenModel):
    """A question to the memory: what helps with this task?

    Attempts at the task itself, at tasks of held-out splits and of other tenants never come back,
    whatever is asked.

    Attributes:
        task: the task in hand.
        text: what to search for: the latest observation for steps. Empty: the task's
            instruction.
        what: whole attempts, single steps, or reflections.
        how: hybrid (meaning and text, ranks fused), meaning (dense), text (BM25), type (the same
            kind of task, the latest first), random (sampled by seed, as a control).
        outcome: which attempts, by their latest verdict. Reflections come from failures.
        environments: where the attempts were made. Empty: the task's own environment.
        kind: only of this kind of task; type takes the task's own when empty.
        limit: how many, at most; one a task.
        threshold: lowest cosine similarity for recall by meaning.
        diversity: 0 ranks by relevance alone, towards 1 what differs comes first (MMR).
        tokens: tokens of all texts together, at most. 0: no limit.
        seed: fixes what random samples.

    Example:
        >>> Query(task=Task(environment="returns-desk", id="ticket 8"), limit=3).limit
        3
    """

    task: Task
    text: str = Field(default="", max_length=100_000)
    what: What = "tasks"
    how: How = "hybrid"
    outcome: OutcomeFilter = "successes"
    environments: tuple[Name, ...] = Field(default=(), max_length=20)
    kind: str = Field(default="", max_length=80)
    limit: int = Field(default=3, ge=1, le=50)
    threshold: float = Field(default=0.0, ge=0, le=1)
    diversity: float = Field(default=0.0, ge=0, le=1)
    tokens: int = Field(default=0, ge=0)
    seed: int = 0


class Recollection(FrozenModel):
    """One attempt, step or reflection that was recalled, ready to be shown.

    Attributes:
        trajectory: id of the attempt it comes from.
        task: what that attempt was at.
        what: a whole attempt, a step of it, or a reflection on it.
        text: the transcript, the step or the reflection, as a prompt shows it.
        score: how well it fits: cosine similarity, for text the BM25 score; 0 where neither ranks.
        success: the attempt's latest verdict.
        tokens: of the text, as the caller counts them.
    """

    trajectory: Name
    task: Task
    what: What
    text: str
    score: float
    success: bool | None
    tokens: int


class RecordReceipt(NamedTuple):
    """Ids of trajectories that are new, and of those that were stored before."""

    new: tuple[str, ...]
    duplicates: tuple[str, ...]


class DatedVerdict(FrozenModel):
    """A verdict with its time: Unix time in seconds, rounded to the millisecond.

    Every store reads so many digits back unchanged, so the same verdict is recognised again.
    """

    verdict: Verdict
    at: Annotated[FiniteFloat, AfterValidator(lambda at: round(at, 3))]


class StoredAttempt(FrozenModel):
    """A trajectory with its latest verdict, and every verdict it had, the oldest first."""

    trajectory: Trajectory
    verdicts: tuple[DatedVerdict, ...]


class Use(FrozenModel):
    """How an attempt did as an exemplar: how often it was shown, and with how many successes."""

    trajectory: Name
    shown: int
    successes: int

    @property
    def rate(self) -> float:
        """Return the success rate, smoothed for few cases (Laplace)."""
        return (self.successes + 1) / (self.shown + 2)


class ExperienceReport(FrozenModel):
    """What the experience memory of a tenant holds, and how it is used.

    Attributes:
        capacity: attempts it holds at most.
        attempts: attempts it holds. The other counts are parts of this one.
        held_out: attempts of splits that are never shown.
        duplicates: attempts set aside because they repeat a better one.
        steps: single steps that can be recalled.
        uses: the attempts that were in view, the most shown first.
    """

    capacity: int
    attempts: int
    successes: int
    failures: int
    held_out: int
    duplicates: int
    steps: int
    reflections: int
    uses: tuple[Use, ...]


class Upkeep(FrozenModel):
    """What an upkeep did: number of repeats set aside, and the attempts that were evicted."""

    set_aside: int
    evictions: tuple[Name, ...]
