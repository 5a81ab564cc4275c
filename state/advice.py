"""The nouns of fine-tuning: what is at hand, what is asked for, and the advice that follows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from apprentice.state.nouns import Noun

Method = Literal["sft", "dpo", "grpo", "vision"]
Need = Literal["domain_language", "tone", "format", "tool_calls", "reasoning"]

Money = Annotated[float, Field(ge=0, le=1e9)]


class Limits(Noun):
    """What a small model has to keep within; 0 and false ask for nothing."""

    memory_gb: float = Field(
        default=0, ge=0, le=10_000, title="Memory", description="Gigabytes to serve it from."
    )
    bandwidth_gb_s: float = Field(
        default=50,
        gt=0,
        le=100_000,
        title="Bandwidth",
        description="Of that memory, in gigabytes a second: about 50 on a desk, 3000 on a GPU.",
    )
    token_ms: float = Field(
        default=0, ge=0, le=10_000, title="Latency", description="Milliseconds a token may take."
    )
    context: int = Field(default=0, ge=0, le=10_000_000, title="Context", description="Tokens.")
    permissive: bool = Field(
        default=False, title="Permissive", description="Only Apache, MIT and the like."
    )
    vision: bool = Field(default=False, title="Vision", description="It has to read images.")


class Override(Noun):
    """A person's decision against the advice, which is kept with it."""

    tune: bool = Field(default=True, title="Fine-tune")
    method: Method | None = Field(default=None, title="Method")
    why: str = Field(min_length=1, max_length=2_000, title="Why")
    by: str = Field(default="", max_length=200, title="By whom")


class Circumstances(Noun):
    """What the attempts cannot tell: what for, how much of it, and at which prices.

    Prices are in any one currency.
    """

    needs: tuple[Need, ...] = Field(
        default=(), max_length=5, title="Needs", description="What prompts did not achieve."
    )
    prototype: bool = Field(default=False, title="Prototype", description="It may be thrown away.")
    base_moving: bool = Field(
        default=False, title="Base is moving", description="A better base model is expected soon."
    )
    requests_per_day: float = Field(default=0, ge=0, le=1e9, title="Requests a day")
    tokens_saved: int = Field(
        default=0, ge=0, le=1_000_000, title="Tokens saved", description="A request, in the prompt."
    )
    price_per_million: Money = Field(
        default=0, title="Price of tokens", description="For a million tokens of prompt."
    )
    price_per_hour: Money = Field(default=0, title="Price of compute", description="An hour.")
    hours_per_million: float = Field(
        default=0.1, ge=0, le=10_000, title="Speed", description="Hours to train a million tokens."
    )
    upkeep_per_month: Money = Field(
        default=0, title="Upkeep", description="A month, for serving and looking after it."
    )
    retrain_days: int = Field(
        default=90, ge=1, le=3650, title="Cadence", description="Days until it is trained again."
    )
    budget: Money | None = Field(
        default=None, title="Budget", description="For one training; none for any."
    )
    limits: Limits = Limits()
    override: Override | None = Field(default=None, title="Overrule the advice")


class AvailableData(Noun):
    """What is at hand to learn from.

    Attributes:
        rows: usable rows, by method.
        tasks: different tasks they come from.
        attempts: judged attempts on training tasks.
        solved: how many of those succeeded.
        shown_tokens: mean tokens of what was in view beside the task, an attempt.
        tokens: that a training would read or write in all its epochs, by method.
        last: the method of the adapter in use; None when there is none.
        graded: whether attempts can be graded again, by an environment or graders.
        hosted: whether the base model is somebody else's server.
    """

    rows: dict[Method, int] = Field(default_factory=dict)
    tasks: int = 0
    attempts: int = 0
    successes: int = 0
    shown_tokens: int = 0
    tokens: dict[Method, int] = Field(default_factory=dict)
    last: Method | None = None
    can_grade: bool = False
    is_hosted: bool = False


class Reason(Noun):
    """One reason for a fine-tune or against it, as a sentence for people."""

    name: str
    text: str
    speaks: Literal["for", "against"]


class Cost(Noun):
    """What a fine-tune costs and saves, and after how many days it has paid; None for never."""

    training: float
    upkeep_per_month: float
    saved_per_month: float
    break_even_days: float | None


class Advice(Noun):
    """Whether to fine-tune and how, with every reason; `overruled` when a person decided else."""

    tune: bool
    method: Method | None
    reasons: tuple[Reason, ...]
    cost: Cost
    model: str = ""
    overruled: Override | None = None

    def sentences(self) -> str:
        """Return the advice as a person reads it."""
        head = f"Fine-tune with {self.method}." if self.tune else "Do not fine-tune now."
        if self.overruled:
            by = f" by {self.overruled.by}" if self.overruled.by else ""
            head += f" (Overruled{by}: {self.overruled.why})"
        reasons = [f"{'+' if one.speaks == 'for' else '-'} {one.text}" for one in self.reasons]
        return "\n".join([head, *reasons])
