"""Figures against published or hand-computed values, and the laws that must hold for all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.state.statistics import difference, mcnemar, rate


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [
        (10, 20, 0.2993, 0.7007),  # symmetric
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I
        (15, 148, 0.0624, 0.1605),  # Newcombe 1998, table I
        (0, 20, 0.0, 0.1611),  # Newcombe 1998, table I
        (1, 29, 0.0061, 0.1718),  # Newcombe 1998, table I
    ],
)
def test_wilson_interval(successes: int, total: int, low: float, high: float) -> None:
    found = rate(successes, total)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_nothing_counted_says_nothing() -> None:
    assert rate(0, 0)[2:] == (0.0, 1.0)


def test_more_successes_than_tries_cannot_be() -> None:
    with pytest.raises(ValueError, match="3 successes of 2"):
        rate(3, 2)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_interval_holds_the_share(counts: tuple[int, int]) -> None:
    found = rate(*counts)
    assert 0 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (6, 0, 0.03125), (8, 2, 0.109375), (3, 3, 1.0)],
)
def test_mcnemar_is_the_binomial_test_of_discordant_pairs(wins: int, losses: int, p: float) -> None:
    ours = [True] * wins + [False] * losses + [True, False]
    theirs = [False] * wins + [True] * losses + [True, False]
    assert mcnemar(ours, theirs) == pytest.approx(p)
    assert mcnemar(theirs, ours) == pytest.approx(p)


def test_difference_is_of_pairs_not_of_shares() -> None:
    """The same two shares differ surely when the pairs agree, and not when they don't."""
    theirs = [True] * 20 + [False] * 20
    nested = difference([True] * 30 + [False] * 10, theirs)
    crossed = difference([False] * 10 + [True] * 30, theirs)
    assert nested.value == crossed.value == 0.25
    assert nested.low > 0
    assert nested.p < 0.01
    assert crossed.high - crossed.low > nested.high - nested.low
    assert crossed.p > nested.p


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_difference_interval_holds_the_difference(pairs: list[tuple[bool, bool]]) -> None:
    ours, theirs = zip(*pairs, strict=True)
    gap = difference(ours, theirs)
    assert -1 <= gap.low <= gap.value <= gap.high <= 1
    assert 0 <= gap.p <= 1
