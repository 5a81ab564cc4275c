"""Advise for or against a fine-tune, with a method and with reasons in sentences.

The advisor prefers prompts: they are cheaper and faster to change, and a change is undone in a
second. One reason against a fine-tune is enough to advise against it. A fine-tune also needs at
least one reason for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from apprentice.state.advice import Advice, AvailableData, Circumstances, Cost, Method, Need, Reason
from apprentice.training.datasets.curation import MINIMUM_ROWS, MINIMUM_TASKS
from apprentice.training.small_models import AS_OF, models_within

ROOM: Final = 0.1  # share of attempts that fail
LATEST: Final = 365.0  # days in which a fine-tune has to pay off
DAYS_A_MONTH: Final = 30.0

_NEEDS: Final[dict[Need, str]] = {
    "domain_language": "The domain has its own language, which examples teach best.",
    "tone": "Answers need a consistent tone, which instructions alone do not ensure.",
    "format": "Answers need an exact format.",
    "tool_calls": "Tool calls have to be exact.",
    "reasoning": "The problems need longer reasoning, and rewards can teach it.",
}
_METHODS: Final[dict[Method, str]] = {
    "sft": "Prompts with ideal answers are available: use supervised fine-tuning.",
    "vision": "Images with labels are available: use supervised fine-tuning of a vision model.",
    "dpo": "Better and worse answers to the same prompts are available: use preference "
    "optimisation.",
    "grpo": "Answers can be graded: use reinforcement learning.",
}


def advise(evidence: AvailableData, circumstances: Circumstances | None = None) -> Advice:
    """Advise for or against a fine-tune.

    Args:
        evidence: the data that is available.
        circumstances: needs, limits and prices; by default none are known.
    """
    facts = circumstances or Circumstances()
    method = choose_method(evidence, facts)
    cost = estimate(evidence, facts, method)
    grounds = list(_grounds(evidence, facts))
    cons = list(_cons(evidence, facts, method, cost))
    if not grounds and not cons:
        cons = [_against("no_need", _no_need(evidence))]
    tune = not cons
    models = models_within(facts.limits)
    advice = Advice(
        tune=tune,
        method=method if tune else None,
        reasons=(*grounds, *_data(evidence, method), *cons),
        cost=cost,
        model=f"{models[0].name} (table of {AS_OF})" if models else "",
    )
    override = facts.override
    if override is None:
        return advice
    method_used = (override.method or method or "sft") if override.tune else None
    update = {"tune": override.tune, "method": method_used, "overruled": override}
    return advice.model_copy(update=update)


def choose_method(evidence: AvailableData, circumstances: Circumstances) -> Method | None:
    """Return the method that suits the data and the needs; None if there is too little data.

    Imitation comes first. Preference and reward refine its result.
    """
    enough = {kind for kind, count in evidence.rows.items() if count >= MINIMUM_ROWS[kind]}
    if not evidence.can_grade:
        enough.discard("grpo")
    order: list[Method] = ["sft", "vision", "dpo", "grpo"]
    if circumstances.limits.vision:
        order = ["vision"]
    elif {"tone", "format"} & set(circumstances.needs) and "tool_calls" not in circumstances.needs:
        order = ["dpo", "sft", "grpo"]
    elif "reasoning" in circumstances.needs and evidence.last:
        order = ["grpo", "dpo", "sft"]
    elif evidence.last == "sft":
        order = ["dpo", "grpo", "sft", "vision"]
    elif evidence.last == "dpo":
        order = ["grpo", "sft", "dpo", "vision"]
    return next((method for method in order if method in enough), None)


def estimate(evidence: AvailableData, circumstances: Circumstances, method: Method | None) -> Cost:
    """Return the cost and the savings of a fine-tune, in the currency of the prices."""
    tokens = evidence.tokens.get(method, 0) if method else 0
    training = tokens / 1e6 * circumstances.hours_per_million * circumstances.price_per_hour
    upkeep = circumstances.upkeep_per_month + training * DAYS_A_MONTH / circumstances.retrain_days
    saved_tokens = circumstances.tokens_saved or evidence.shown_tokens
    a_month = circumstances.requests_per_day * DAYS_A_MONTH
    savings = a_month * saved_tokens / 1e6 * circumstances.price_per_million
    net = savings - upkeep
    if training == 0 and net >= 0:
        days: float | None = 0.0
    else:
        days = training / net * DAYS_A_MONTH if net > 0 else None
    return Cost(
        training=training, upkeep_per_month=upkeep, saved_per_month=savings, break_even_days=days
    )


def _grounds(evidence: AvailableData, circumstances: Circumstances) -> Iterator[Reason]:
    """Yield the reasons for a fine-tune; available data alone is not a reason."""
    for need in circumstances.needs:
        yield _for(need, _NEEDS[need])
    failures = evidence.attempts - evidence.successes
    if evidence.attempts and failures / evidence.attempts >= ROOM and evidence.successes:
        yield _for(
            "room",
            f"{failures} of {evidence.attempts} attempts failed, and the successes show how to "
            "solve the tasks.",
        )
    if evidence.shown_tokens and circumstances.requests_per_day and circumstances.price_per_million:
        yield _for(
            "tokens",
            f"Each prompt contains about {evidence.shown_tokens} tokens of rules, exemplars and "
            "reflections. In the weights they cost nothing.",
        )


def _data(evidence: AvailableData, method: Method | None) -> Iterator[Reason]:
    if method:
        yield _for(f"data_{method}", f"{evidence.rows[method]} rows. {_METHODS[method]}")


def _cons(
    evidence: AvailableData, circumstances: Circumstances, method: Method | None, cost: Cost
) -> Iterator[Reason]:
    if evidence.is_hosted:
        yield _against(
            "hosted",
            "The base model does not run on this machine. Export the dataset, and train the model "
            "where it runs.",
        )
    if method is None:
        yield _against("too_little", _too_little(evidence))
    elif evidence.tasks < MINIMUM_TASKS:
        yield _against(
            "one_sided",
            f"The rows come from {evidence.tasks} tasks. At least {MINIMUM_TASKS} are needed, or "
            "the model memorises them.",
        )
    if evidence.attempts and evidence.successes == evidence.attempts and not circumstances.needs:
        yield _against("all_solved", "Every attempt succeeded: there is nothing to correct.")
    if circumstances.prototype:
        yield _against("prototype", "This is a prototype, and its requirements will still change.")
    if circumstances.base_moving:
        yield _against("base_moving", "A better base model is expected. Wait, and train that one.")
    if circumstances.budget is not None and cost.training > circumstances.budget:
        yield _against(
            "budget",
            f"Training costs about {cost.training:.2f}, more than {circumstances.budget:.2f}.",
        )
    if not circumstances.needs:
        yield from _unpaid(circumstances, cost)


def _unpaid(circumstances: Circumstances, cost: Cost) -> Iterator[Reason]:
    """Yield the reasons against a fine-tune that is only about cost and does not pay off."""
    if not (cost.training or cost.upkeep_per_month):
        return
    days = cost.break_even_days
    if days is None:
        yield _against(
            "never_pays",
            f"It saves {cost.saved_per_month:.2f} a month, but its upkeep costs "
            f"{cost.upkeep_per_month:.2f} a month, so it never pays off.",
        )
    elif days > min(LATEST, circumstances.retrain_days):
        yield _against(
            "pays_late",
            f"It pays off after {days:.0f} days, but retraining is due after "
            f"{circumstances.retrain_days} days.",
        )


def _no_need(evidence: AvailableData) -> str:
    failures = evidence.attempts - evidence.successes
    return (
        f"Nothing shows that prompts do not suffice: {failures} of {evidence.attempts} attempts "
        "failed, and no need was named. Keep using prompts."
    )


def _too_little(evidence: AvailableData) -> str:
    counts = ", ".join(
        f"{evidence.rows.get(method, 0)} of {least} for {method}"
        for method, least in MINIMUM_ROWS.items()
    )
    return f"There is too little to learn from: {counts}."


def _for(name: str, text: str) -> Reason:
    return Reason(name=name, text=text, speaks="for")


def _against(name: str, text: str) -> Reason:
    return Reason(name=name, text=text, speaks="against")
