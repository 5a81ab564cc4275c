"""The advisor: when to, when not to, how, at what cost; and people may decide otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from apprentice.state.advice import AvailableData, Circumstances, Limits, Method, Override
from apprentice.training.advisor import advise
from apprentice.training.small_models import models_within

GOOD: dict[str, Any] = {
    "rows": {"sft": 400, "dpo": 80, "grpo": 60},
    "tokens": {"sft": 2_000_000, "dpo": 500_000, "grpo": 100_000},
    "tasks": 120,
    "attempts": 600,
    "successes": 400,
    "can_grade": True,
}


def advice(evidence: dict[str, Any] | None = None, **circumstances: Any) -> Any:
    return advise(AvailableData(**{**GOOD, **(evidence or {})}), Circumstances(**circumstances))


def names(made: Any, speaks: str) -> set[str]:
    return {reason.name for reason in made.reasons if reason.speaks == speaks}


def test_enough_good_data_and_room_to_improve_is_a_reason() -> None:
    made = advice()
    assert (made.tune, made.method) == (True, "sft")
    assert names(made, "for") == {"room", "data_sft"}
    assert made.sentences().splitlines()[:2] == [
        "Fine-tune with sft.",
        "+ 200 of 600 attempts failed, and the successes show how to solve the tasks.",
    ]


def test_data_alone_is_no_reason() -> None:
    """In doubt, don't: that there are successes to imitate shows no need to."""
    made = advice({"attempts": 200, "successes": 199})
    assert (made.tune, made.method) == (False, None)
    assert names(made, "for") == {"data_sft"}
    assert made.sentences().splitlines()[-1] == (
        "- Nothing shows that prompts do not suffice: 1 of 200 attempts failed, and no need was "
        "named. Keep using prompts."
    )
    assert advice({"attempts": 200, "successes": 199}, needs=("tool_calls",)).tune
    assert advice({"attempts": 200, "successes": 170}).tune


@pytest.mark.parametrize(
    ("evidence", "circumstances", "against"),
    [
        ({"rows": {}}, {}, {"too_little"}),
        ({"rows": {"sft": 49}}, {}, {"too_little"}),
        ({"rows": {"grpo": 500}, "can_grade": False}, {}, {"too_little"}),
        ({"tasks": 3}, {}, {"one_sided"}),
        ({"successes": 600}, {}, {"all_solved"}),
        ({"is_hosted": True}, {}, {"hosted"}),
        ({}, {"prototype": True}, {"prototype"}),
        ({}, {"base_moving": True}, {"base_moving"}),
        ({}, {"budget": 1, "price_per_hour": 20, "needs": ("tone",)}, set()),
        ({}, {"budget": 0.5, "price_per_hour": 20, "needs": ("tone",)}, {"budget"}),
        ({}, {"price_per_hour": 20}, {"never_pays"}),
        ({}, {"upkeep_per_month": 50}, {"never_pays"}),
    ],
)  # fmt: skip
def test_one_reason_against_is_enough_to_hold_off(
    evidence: dict[str, Any], circumstances: dict[str, Any], against: set[str]
) -> None:
    made = advice(evidence, **circumstances)
    assert names(made, "against") == against
    assert made.tune is not bool(against)
    assert (made.method is None) is bool(against)


def test_without_data_there_is_no_advice_for_it() -> None:
    made = advise(AvailableData())
    assert not made.tune
    assert "0 of 50 for sft" in made.sentences()


@pytest.mark.parametrize(
    ("evidence", "circumstances", "method"),
    [
        ({}, {"needs": ("tone",)}, "dpo"),
        ({}, {"needs": ("format", "tool_calls")}, "sft"),
        ({"rows": {"dpo": 80}}, {}, "dpo"),
        ({"rows": {"grpo": 80}}, {}, "grpo"),
        ({"rows": {"vision": 80, "sft": 10}}, {}, "vision"),
        ({}, {"limits": Limits(vision=True)}, None),
        ({"rows": {"vision": 80, "sft": 100}}, {"limits": Limits(vision=True)}, "vision"),
        ({"last": "sft"}, {}, "dpo"),
        ({"last": "sft", "rows": {"sft": 400, "grpo": 60}}, {}, "grpo"),
        ({"last": "dpo"}, {}, "grpo"),
        ({"last": "sft"}, {"needs": ("reasoning",)}, "grpo"),
        ({}, {"needs": ("reasoning",)}, "sft"),
    ],
)
def test_the_method_follows_the_data_at_hand(
    evidence: dict[str, Any], circumstances: dict[str, Any], method: Method | None
) -> None:
    assert advice(evidence, **circumstances).method == method


def test_it_pays_when_the_tokens_saved_outweigh_training_and_upkeep() -> None:
    made = advice(
        {"shown_tokens": 1_000},
        requests_per_day=10_000,
        price_per_million=1.0,
        price_per_hour=50.0,
        hours_per_million=1.0,
        upkeep_per_month=100.0,
        retrain_days=60,
    )
    # 2 million tokens at an hour each; a month: 300,000 requests of 1,000 tokens.
    assert made.cost.training == pytest.approx(100)
    assert made.cost.upkeep_per_month == pytest.approx(150)
    assert made.cost.saved_per_month == pytest.approx(300)
    assert made.cost.break_even_days == pytest.approx(20)
    assert made.tune
    assert "tokens" in names(made, "for")


def test_what_pays_after_it_is_due_again_does_not_pay() -> None:
    made = advice(
        {"shown_tokens": 1_000},
        requests_per_day=10_000, price_per_million=1.0, price_per_hour=50.0,
        hours_per_million=1.0, upkeep_per_month=100.0, retrain_days=19,
    )  # fmt: skip
    assert names(made, "against") == {"pays_late"}


@pytest.mark.parametrize("tune", [True, False])
def test_people_may_overrule_it_and_that_is_kept(tune: bool) -> None:
    overruling = Override(tune=tune, why="The launch is on Monday.", by="Ada")
    made = advice({"rows": {}} if tune else {}, override=overruling)
    assert made.tune is tune
    assert made.method == ("sft" if tune else None)
    assert made.overruled == overruling
    assert "(Overruled by Ada: The launch is on Monday.)" in made.sentences()
    assert {reason.speaks for reason in made.reasons} >= {"against" if tune else "for"}


@pytest.mark.parametrize(
    ("limits", "model"),
    [
        (Limits(), "Qwen/Qwen3-8B"),
        (Limits(memory_gb=2), "Qwen/Qwen3-0.6B"),
        (Limits(memory_gb=8, context=100_000), "meta-llama/Llama-3.2-3B-Instruct"),
        (Limits(memory_gb=8, context=40_000, permissive=True), "HuggingFaceTB/SmolLM3-3B"),
        (Limits(token_ms=30, bandwidth_gb_s=50), "Qwen/Qwen3-0.6B"),
        (Limits(token_ms=30, bandwidth_gb_s=500), "Qwen/Qwen3-4B-Instruct-2507"),
        (Limits(vision=True, memory_gb=6), "HuggingFaceTB/SmolVLM2-2.2B-Instruct"),
        (Limits(memory_gb=0.1), ""),
    ],
)
def test_the_largest_model_within_the_limits_is_named(limits: Limits, model: str) -> None:
    fit = models_within(limits)
    assert (fit[0].name if fit else "") == model
