"""Types of the fine-tuning advisor: the available data, the circumstances, and the advice."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from apprentice.state.trajectory import FrozenModel

Method = Literal["sft", "dpo", "grpo", "vision"]
Need = Literal["domain_language", "tone", "format", "tool_calls", "reasoning"]

Money = Annotated[float, Field(ge=0, le=1e9)]


class Limits(FrozenModel):
    """Limits that a small model has to meet. 0 and false mean no limit."""

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


class Override(FrozenModel):
    """A person's decision against the advice. It is stored with the advice."""

    tune: bool = Field(default=True, title="Fine-tune")
    method: Method | None = Field(default=None, title="Method")
    why: str = Field(min_length=1, max_length=2_000, title="Why")
    by: str = Field(default="", max_length=200, title="By whom")


class Circumstances(FrozenModel):
    """What attempts do not show: the needs, the volume and the prices, all in one currency."""

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


class AvailableData(FrozenModel):
    """The data that a fine-tune could learn from.

    Attributes:
        rows: number of usable rows, by method.
        tasks: number of different tasks they come from.
        attempts: number of attempts on training tasks that have a verdict.
        successes: how many of those succeeded.
        shown_tokens: tokens shown beside the task, the mean per attempt.
        tokens: tokens that a job would read or write in all its epochs, by method.
        last: the method of the adapter in use; None when there is none.
        can_grade: whether an environment or graders can grade attempts again.
        is_hosted: whether the base model runs on somebody else's server.
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


class Reason(FrozenModel):
    """One reason for a fine-tune or against it, as a sentence for people."""

    name: str
    text: str
    speaks: Literal["for", "against"]


class Cost(FrozenModel):
    """What a fine-tune costs and saves. `break_even_days` is None if it never pays."""

    training: float
    upkeep_per_month: float
    saved_per_month: float
    break_even_days: float | None


class Advice(FrozenModel):
    """Whether to fine-tune and how, with every reason. `overruled` is a person's other decision."""

    tune: bool
    method: Method | None
    reasons: tuple[Reason, ...]
    cost: Cost
    model: str = ""
    overruled: Override | None = None

    def sentences(self) -> str:
        """Return the advice as text for people."""
        head = f"Fine-tune with {self.method}." if self.tune else "Do not fine-tune now."
        if self.overruled:
            by = f" by {self.overruled.by}" if self.overruled.by else ""
            head += f" (Overruled{by}: {self.overruled.why})"
        reasons = [f"{'+' if one.speaks == 'for' else '-'} {one.text}" for one in self.reasons]
        return "\n".join([head, *reasons])
