"""Batches of rows of similar lengths, so that little computation goes into padding.

The library's own grouping does not help with small datasets: with fewer than eight batches the
order is random, and more than half of the computation may go into padding.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Final

from torch.utils.data import Sampler

_JITTER: Final = 0.1  # share of a row's length, so that batches differ between epochs


class ByLength(Sampler[int]):
    """Yields rows in batches of similar lengths, with the batches in random order.

    Args:
        lengths: the length of each row in tokens.
        batch: the number of rows in a batch.
        seed: together with the epoch it determines the order, so a resumed training has the same
            order.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        self._lengths = lengths
        self._batch = batch
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, and so the order; the trainer calls this."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        rng = random.Random(f"{self._seed}:{self._epoch}")
        keys = [length * (1 + _JITTER * rng.random()) for length in self._lengths]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        batches = [order[at : at + self._batch] for at in range(0, len(order), self._batch)]
        # The trainer cuts the rows into batches in order, so only the last one may be short.
        short = batches.pop() if len(order) % self._batch else []
        rng.shuffle(batches)
        yield from (row for batch in [*batches, short] for row in batch)
