"""Evidence: against exact expectations, and the laws that make repeated looks free."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.state.evidence import evidence, gain_interval

counts = st.integers(0, 60)
claims = st.floats(-0.9, 0.9)


def expected(over: float, rounds: int, win: float, loss: float) -> float:
    """The exact mean of the evidence after so many independent pairs."""
    tie = 1 - win - loss
    return sum(
        comb(rounds, wins)
        * comb(rounds - wins, losses)
        * win**wins
        * loss**losses
        * tie ** (rounds - wins - losses)
        * evidence(wins, rounds - wins - losses, losses, over)
        for wins in range(rounds + 1)
        for losses in range(rounds + 1 - wins)
    )


@pytest.mark.parametrize(
    ("over", "win", "loss"),
    [(0.0, 0.3, 0.3), (0.0, 0.5, 0.5), (-0.1, 0.2, 0.3), (0.1, 0.4, 0.3), (-0.1, 0.0, 0.1)],
)
@pytest.mark.parametrize("rounds", [1, 7, 30])
def test_a_true_claim_keeps_the_game_fair(
    over: float, win: float, loss: float, rounds: int
) -> None:
    assert expected(over, rounds, win, loss) == pytest.approx(1)


@pytest.mark.parametrize(("win", "loss"), [(0.2, 0.4), (0.0, 0.3)])
def test_a_claim_that_is_more_than_true_makes_the_game_a_losing_one(
    win: float, loss: float
) -> None:
    assert expected(0.0, 20, win, loss) < 1


def test_a_false_claim_loses_its_case_exponentially() -> None:
    short, long = (expected(0.0, rounds, 0.4, 0.1) for rounds in (10, 30))
    assert short > 2
    assert long > short**2


@given(counts, counts, counts, claims)
def test_a_win_is_worth_more_than_a_tie_and_a_tie_more_than_a_loss(
    wins: int, ties: int, losses: int, over: float
) -> None:
    won, tied, lost = (
        evidence(wins + 1, ties, losses, over),
        evidence(wins, ties + 1, losses, over),
        evidence(wins, ties, losses + 1, over),
    )
    assert won >= tied >= lost >= 0


@given(counts, counts, counts, claims, claims)
def test_the_bolder_claim_has_less_evidence(
    wins: int, ties: int, losses: int, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    least, most = evidence(wins, ties, losses, high), evidence(wins, ties, losses, low)
    assert least <= most * (1 + 1e-9)


def test_ties_say_nothing_about_being_better_and_much_about_being_no_worse() -> None:
    assert evidence(5, 1000, 2) == pytest.approx(evidence(5, 0, 2))
    assert evidence(0, 60, 0, over=-0.1) > 20


def test_any_number_of_pairs_gives_a_number() -> None:
    assert evidence(0, 0, 0) == pytest.approx(1)
    assert evidence(100_000, 0, 0) > 1e300
    assert evidence(0, 0, 100_000) == 0.0


@given(counts, counts, counts)
def test_the_interval_holds_what_was_seen(wins: int, ties: int, losses: int) -> None:
    low, high = gain_interval(wins, ties, losses)
    pairs = wins + ties + losses
    assert -1 <= low <= (wins - losses) / max(1, pairs) <= high <= 1


def test_the_interval_narrows_with_what_is_seen() -> None:
    few, many = gain_interval(8, 24, 8), gain_interval(80, 240, 80)
    assert many[1] - many[0] < (few[1] - few[0]) / 2
    assert gain_interval(0, 0, 0) == (-1, 1)
