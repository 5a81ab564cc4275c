"""Should one fine-tune, and how? A pure function, with reasons for people.

In doubt, don't: what a prompt can do is cheaper, sooner and undone in a second. One reason against
is enough to hold off; without a reason for it there is nothing to gain.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from apprentice.state.advice import Advice, AvailableData, Circumstances, Cost, Method, Need, Reason
from apprentice.training.datasets.curation import MINIMUM_ROWS, MINIMUM_TASKS
from apprentice.training.small_models import AS_OF, fitting

ROOM: Final = 0.1  # share of attempts that fail
LATEST: Final = 365.0  # days until it has to have paid
DAYS_A_MONTH: Final = 30.0

_NEEDS: Final[dict[Need, str]] = {
    "domain_language": "The domain has a language of its own, which examples teach best.",
    "tone": "Answers need one tone, which instructions keep only loosely.",
    "format": "Answers need one format, exactly.",
    "tool_calls": "Tool calls have to be exact.",
    "reasoning": "The problems need longer reasoning, which can be rewarded.",
}
_METHODS: Final[dict[Method, str]] = {
    "sft": "Prompts with ideal answers are at hand: supervised fine-tuning.",
    "vision": "Images with labels are at hand: supervised fine-tuning of a model that sees.",
    "dpo": "Better and worse answers to the same prompts are at hand: preference optimisation.",
    "grpo": "Answers can be graded: reinforcement learning from the grade.",
}


def advise(evidence: AvailableData, circumstances: Circumstances | None = None) -> Advice:
    """Advise for or against a fine-tune.

    Args:
        evidence: what is at hand to learn from.
        circumstances: what for and at which prices; by default nothing is known of them.
    """
    given = circumstances or Circumstances()
    method = choose_method(evidence, given)
    cost = estimate(evidence, given, method)
    grounds = list(_grounds(evidence, given))
    cons = list(_cons(evidence, given, method, cost))
    if not grounds and not cons:
        cons = [_against("no_need", _no_need(evidence))]
    tune = not cons
    models = fitting(given.limits)
    advice = Advice(
        tune=tune,
        method=method if tune else None,
        reasons=(*grounds, *_data(evidence, method), *cons),
        cost=cost,
        model=f"{models[0].name} (table of {AS_OF})" if models else "",
    )
    overruling = given.override
    if overruling is None:
        return advice
    chosen = (overruling.method or method or "sft") if overruling.tune else None
    update = {"tune": overruling.tune, "method": chosen, "overruled": overruling}
    return advice.model_copy(update=update)


def choose_method(evidence: AvailableData, given: Circumstances) -> Method | None:
    """Return the method that suits the data and the needs; None when there is too little.

    Imitation comes first; preference and reward refine what it has brought about.
    """
    enough = {kind for kind, count in evidence.rows.items() if count >= MINIMUM_ROWS[kind]}
    if not evidence.can_grade:
        enough.discard("grpo")
    order: list[Method] = ["sft", "vision", "dpo", "grpo"]
    if given.limits.vision:
        order = ["vision"]
    elif {"tone", "format"} & set(given.needs) and "tool_calls" not in given.needs:
        order = ["dpo", "sft", "grpo"]
    elif "reasoning" in given.needs and evidence.last:
        order = ["grpo", "dpo", "sft"]
    elif evidence.last == "sft":
        order = ["dpo", "grpo", "sft", "vision"]
    elif evidence.last == "dpo":
        order = ["grpo", "sft", "dpo", "vision"]
    return next((method for method in order if method in enough), None)


def estimate(evidence: AvailableData, given: Circumstances, method: Method | None) -> Cost:
    """Return what a fine-tune costs and saves, in the currency of the prices."""
    tokens = evidence.tokens.get(method, 0) if method else 0
    training = tokens / 1e6 * given.hours_per_million * given.price_per_hour
    upkeep = given.upkeep_per_month + training * DAYS_A_MONTH / given.retrain_days
    saved_tokens = given.tokens_saved or evidence.shown_tokens
    a_month = given.requests_per_day * DAYS_A_MONTH
    saved = a_month * saved_tokens / 1e6 * given.price_per_million
    net = saved - upkeep
    if training == 0 and net >= 0:
        days: float | None = 0.0
    else:
        days = training / net * DAYS_A_MONTH if net > 0 else None
    return Cost(
        training=training, upkeep_per_month=upkeep, saved_per_month=saved, break_even_days=days
    )


def _grounds(evidence: AvailableData, given: Circumstances) -> Iterator[Reason]:
    """Say what there is to gain. That there is data to learn from is no gain yet."""
    for need in given.needs:
        yield _for(need, _NEEDS[need])
    failing = evidence.attempts - evidence.successes
    if evidence.attempts and failing / evidence.attempts >= ROOM and evidence.successes:
        yield _for(
            "room",
            f"{failing} of {evidence.attempts} attempts failed, and the others show how it is "
            "done.",
        )
    if evidence.shown_tokens and given.requests_per_day and given.price_per_million:
        yield _for(
            "tokens",
            f"Each request shows about {evidence.shown_tokens} tokens of what was learned; in the "
            "weights they cost nothing.",
        )


def _data(evidence: AvailableData, method: Method | None) -> Iterator[Reason]:
    if method:
        yield _for(f"data_{method}", f"{evidence.rows[method]} rows. {_METHODS[method]}")


def _cons(
    evidence: AvailableData, given: Circumstances, method: Method | None, cost: Cost
) -> Iterator[Reason]:
    if evidence.is_hosted:
        yield _against(
            "hosted",
            "The base model is not on this machine: export the dataset and train it where it is.",
        )
    if method is None:
        yield _against("too_little", _too_little(evidence))
    elif evidence.tasks < MINIMUM_TASKS:
        yield _against(
            "one_sided",
            f"The rows come from {evidence.tasks} tasks; at least {MINIMUM_TASKS} are needed, or "
            "they are learned by heart.",
        )
    if evidence.attempts and evidence.successes == evidence.attempts and not given.needs:
        yield _against("all_solved", "Every attempt succeeded: there is nothing to correct.")
    if given.prototype:
        yield _against("prototype", "It is a prototype: what is asked of it will still change.")
    if given.base_moving:
        yield _against("base_moving", "A better base model is expected: wait, and train that.")
    if given.budget is not None and cost.training > given.budget:
        yield _against(
            "budget", f"Training costs about {cost.training:.2f}, more than {given.budget:.2f}."
        )
    if not given.needs:
        yield from _unpaid(given, cost)


def _unpaid(given: Circumstances, cost: Cost) -> Iterator[Reason]:
    """Where only money speaks for it, the money has to come back."""
    if not (cost.training or cost.upkeep_per_month):
        return
    days = cost.break_even_days
    if days is None:
        yield _against(
            "never_pays",
            f"It saves {cost.saved_per_month:.2f} a month and costs {cost.upkeep_per_month:.2f} "
            "a month to keep: it never pays.",
        )
    elif days > min(LATEST, given.retrain_days):
        yield _against(
            "pays_late",
            f"It pays after {days:.0f} days, but is due again after {given.retrain_days}.",
        )


def _no_need(evidence: AvailableData) -> str:
    failing = evidence.attempts - evidence.successes
    return (
        f"Nothing shows that prompts do not suffice: {failing} of {evidence.attempts} attempts "
        "failed, and no need was named. Keep to prompts."
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
