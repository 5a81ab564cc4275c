"""What attempts offer each method, and what learning from it would cost."""

from __future__ import annotations

import pytest

from apprentice.state.advice import Circumstances
from apprentice.state.errors import BadInput
from apprentice.state.trajectory import text_of
from apprentice.training.advisor import advise
from apprentice.training.available_data import CHARACTERS_A_TOKEN, available_data, examples
from apprentice.training.datasets.rows import to_jsonl
from apprentice.training.settings import GrpoSettings, SftSettings
from tests.training.attempts import pairs


def test_every_epoch_costs_and_so_does_every_attempt_that_reinforcement_makes() -> None:
    attempts = list(pairs(30))
    found = available_data(attempts, cap=4, last="dpo", can_grade=True)
    rows = to_jsonl([example.row for example in examples("sft", attempts).examples])
    assert found.tokens["sft"] == pytest.approx(
        len(rows) / CHARACTERS_A_TOKEN * SftSettings().epochs, rel=0.01
    )
    told = GrpoSettings()
    said = sum(len(text_of(turn)) for attempt in attempts for turn in attempt.messages)
    made = found.rows["grpo"] * told.generations * told.epochs
    assert found.tokens["grpo"] == pytest.approx(
        made * said / len(attempts) / CHARACTERS_A_TOKEN, rel=0.01
    )
    prices = Circumstances(price_per_hour=20, needs=("reasoning",))
    assert advise(found, prices).cost.training == pytest.approx(found.tokens["grpo"] / 1e6 * 2)


def test_what_a_job_is_told_changes_what_it_costs() -> None:
    attempts = list(pairs(30))
    usual = available_data(attempts, cap=4).tokens
    longer = {"epochs": SftSettings().epochs * 3, "generations": GrpoSettings().generations * 2}
    told = available_data(attempts, cap=4, settings=longer).tokens
    assert told["sft"] == pytest.approx(3 * usual["sft"], rel=0.01)
    assert told["grpo"] == pytest.approx(
        2 * longer["epochs"] / GrpoSettings().epochs * usual["grpo"], rel=0.01
    )
    rows = len(examples("sft", attempts).examples)
    steps = {"max_steps": 10, "batch": 4, "accumulate": 2}
    few = available_data(attempts, cap=4, settings=steps).tokens
    assert few["sft"] == pytest.approx(usual["sft"] / SftSettings().epochs * 80 / rows, rel=0.01)
    with pytest.raises(BadInput, match="'epochs' is 'many'"):
        available_data(attempts, cap=4, settings={"epochs": "many"})


def test_nothing_at_hand_costs_nothing() -> None:
    found = available_data([], cap=4)
    assert (found.attempts, found.rows) == (0, {"sft": 0, "dpo": 0, "grpo": 0})
    assert found.tokens == {"sft": 0, "dpo": 0, "grpo": 0}
