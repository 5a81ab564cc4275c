"""How sure a figure is: intervals and paired tests, pure and without dependencies.

The gate and the printed figures use the same functions, so that "beyond chance" means the same in
both.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import comb, sqrt
from typing import Final, NamedTuple

Z95: Final = 1.959963984540054
RESAMPLES: Final = 2_000


class Rate(NamedTuple):
    """A share of successes with its 95 % interval, each in [0, 1]."""

    successes: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share itself; 0 when there is nothing to count."""
        return self.successes / self.total if self.total else 0.0


class Difference(NamedTuple):
    """How much one paired series is above another, in [-1, 1].

    Attributes:
        value: the mean difference.
        low: lower end of its 95 % bootstrap interval.
        high: upper end.
        p: two-sided p of the exact McNemar test.
    """

    value: float
    low: float
    high: float
    p: float


def rate(successes: int, total: int) -> Rate:
    """Return a share with its Wilson score interval (Wilson 1927), which holds near 0 and 1."""
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} successes of {total} cannot be.")
    if total == 0:
        return Rate(0, 0, 0.0, 1.0)
    share = successes / total
    spread = Z95**2 / total
    center = (share + spread / 2) / (1 + spread)
    half = Z95 * sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    low = 0.0 if successes == 0 else center - half
    high = 1.0 if successes == total else center + half
    return Rate(successes, total, low, high)


def mcnemar(ours: Sequence[bool], theirs: Sequence[bool]) -> float:
    """Return the two-sided p of the exact McNemar test on paired outcomes (McNemar 1947)."""
    wins = sum(a and not b for a, b in zip(ours, theirs, strict=True))
    losses = sum(b and not a for a, b in zip(ours, theirs, strict=True))
    discordant = wins + losses
    if discordant == 0:
        return 1.0
    tail = sum(comb(discordant, count) for count in range(min(wins, losses) + 1))
    return float(min(1.0, 2 * tail / 2**discordant))


def difference(ours: Sequence[bool], theirs: Sequence[bool], seed: int = 0) -> Difference:
    """Return how far paired outcomes differ, resampling pairs for the interval."""
    gaps = [int(a) - int(b) for a, b in zip(ours, theirs, strict=True)]
    if not gaps:
        return Difference(0.0, -1.0, 1.0, 1.0)
    rng = random.Random(seed)
    count = len(gaps)
    means = sorted(sum(rng.choices(gaps, k=count)) / count for _ in range(RESAMPLES))
    low, high = means[round(0.025 * RESAMPLES)], means[round(0.975 * RESAMPLES) - 1]
    return Difference(sum(gaps) / count, low, high, mcnemar(ours, theirs))
