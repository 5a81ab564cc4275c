"""Batches hold rows of like lengths, in an order that the seed and the epoch fix."""

from __future__ import annotations

import random

from apprentice.training.batches import ByLength

LENGTHS = [random.Random(number).randrange(20, 400) for number in range(45)]
BATCH = 8


def padding(order: list[int]) -> float:
    """Return the share of a run's computation that is padding."""
    batches = [order[at : at + BATCH] for at in range(0, len(order), BATCH)]
    computed = sum(len(batch) * max(LENGTHS[row] for row in batch) for batch in batches)
    return 1 - sum(LENGTHS) / computed


def test_every_row_is_drawn_once_with_little_padding() -> None:
    order = list(ByLength(LENGTHS, BATCH, 0))
    assert sorted(order) == list(range(45))
    assert padding(order) < 0.15
    assert padding(list(range(45))) > 0.35


def test_the_order_is_fixed_by_seed_and_epoch() -> None:
    one, same, other = (ByLength(LENGTHS, BATCH, seed) for seed in (1, 1, 2))
    assert list(one) == list(same)
    assert list(one) != list(other)
    first = list(one)
    one.set_epoch(1)
    assert list(one) != first
    one.set_epoch(0)
    assert list(one) == first
