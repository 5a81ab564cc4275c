"""Batches of rows of like lengths, so that little is computed on padding.

The library's own grouping does nothing for small datasets: of fewer than eight batches it leaves
the order to chance, and more than half of what is computed may be padding.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Final

from torch.utils.data import Sampler

_JITTER: Final = 0.1  # of a row's length, so that batches differ from epoch to epoch


class ByLength(Sampler[int]):
    """Draws rows so that each batch holds rows of like lengths, the batches in random order.

    Args:
        lengths: each row's, in tokens.
        batch: rows a batch.
        seed: with the epoch, it fixes the order; a resumed training sees the same one.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        self._lengths = lengths
        self._batch = batch
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose another order; called by the trainer."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        rng = random.Random(f"{self._seed}:{self._epoch}")
        keys = [length * (1 + _JITTER * rng.random()) for length in self._lengths]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        batches = [order[at : at + self._batch] for at in range(0, len(order), self._batch)]
        # Rows are drawn one after the other, so only the last batch may be a short one.
        short = batches.pop() if len(order) % self._batch else []
        rng.shuffle(batches)
        yield from (row for batch in [*batches, short] for row in batch)
