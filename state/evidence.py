"""How strong the evidence for a gain is: a bet on paired outcomes that may be looked at any time.

A gambler who doubts the claim "on average a pair gains no more than `over`" bets a share of the
fortune on every pair: a pair gains 1 when the candidate alone succeeds, -1 when the incumbent alone
does, else 0. If the claim is true the game is not in the gambler's favour, so the fortune is a
nonnegative supermartingale, and by Ville's inequality (Ville 1939) it ever reaches 1 / level with
probability `level` at most. That holds over all looks together, however often one looks and
whenever one stops. Such a fortune is an e-value.

The share to bet is not known beforehand, so the fortune is spread evenly over several shares. A
mixture of supermartingales is one too, and depends on the counts alone, not on their order.

What has to be true: given what came before, the next pair gains no more than `over` on average
under the claim. Tasks in random order do that. So do batches that hold every family equally often,
looked at when they are complete: the product of a batch's factors 1 + share * (mean - over) is at
most that of equal means (inequality of arithmetic and geometric means).

Sources: Waudby-Smith and Ramdas 2023, "Estimating means of bounded random variables by betting"
(arXiv 2010.09686); Ramdas, Grünwald, Vovk and Shafer 2023, "Game-theoretic statistics and safe
anytime-valid inference" (arXiv 2210.01948).
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, log
from typing import Final

_STRATEGIES: Final = 16
_SHARES: Final = tuple((place + 0.5) / _STRATEGIES for place in range(_STRATEGIES))
_PRECISION: Final = 12  # halvings of [-1, 1]: the ends are right to 0.05 points
_LARGEST: Final = 700.0  # of the exponents that exp takes


def evidence(wins: int, ties: int, losses: int, over: float = 0.0) -> float:
    """Return the e-value against "a pair gains no more than `over` on average".

    Args:
        wins: pairs in which the candidate alone succeeded.
        ties: pairs with equal outcomes.
        losses: pairs in which the incumbent alone succeeded.
        over: the gain to be exceeded, between -1 and 1, both excluded.
    """
    return exp(min(_LARGEST, _log_evidence(wins, ties, losses, over)))


def gain_interval(wins: int, ties: int, losses: int, level: float = 0.05) -> tuple[float, float]:
    """Return an interval for the mean gain that holds at all looks together, but for `level`.

    It is made of the gains that the evidence does not exclude (a confidence sequence).
    """
    low = _largest_excluded(wins, ties, losses, level / 2)
    return low, -_largest_excluded(losses, ties, wins, level / 2)


def _largest_excluded(wins: int, ties: int, losses: int, level: float) -> float:
    """Return the largest gain that is exceeded beyond `level`: evidence falls as `over` rises."""
    low, high = -1.0, 1.0
    for _ in range(_PRECISION):
        middle = (low + high) / 2
        is_excluded = _log_evidence(wins, ties, losses, middle) >= -log(level)
        low, high = (middle, high) if is_excluded else (low, middle)
    return low


def _log_evidence(wins: int, ties: int, losses: int, over: float) -> float:
    """Average the fortunes of all shares."""
    fortunes = [wins * win + ties * tie + losses * loss for win, tie, loss in _logarithms(over)]
    best = max(fortunes)
    return best + log(sum(exp(fortune - best) for fortune in fortunes) / _STRATEGIES)


@lru_cache(maxsize=8192)
def _logarithms(over: float) -> tuple[tuple[float, float, float], ...]:
    """Return for each share what a win, a tie and a loss multiply its fortune by, as logarithms.

    The largest share is 1 / (1 + over), of which a loss leaves nothing.
    """
    shares = ((part, part / (1 + over)) for part in _SHARES)
    return tuple(
        (log(1 + share * (1 - over)), log(1 - share * over), log(1 - part))
        for part, share in shares
    )
