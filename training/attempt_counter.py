"""Count the attempts that were recorded since a training was last started."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

AGAIN: Final = 600.0
"""Seconds after which a training is started again for an unchanged stage of a round."""
Key = tuple[str, str, str]
"""Tenant, environment and model."""


@dataclass
class Counter:
    """Counts the attempts that were recorded since a training was last started.

    Attempts from before the start of this process are counted once, in the store. For an open
    round, a training is started once for each stage of its job, and again after a while.

    Attributes:
        again: seconds after which a training is started again for an unchanged stage.
        counts: the number of attempts, by key.
        stages: the last stage for which a training was started and the time of it, by round.
    """

    again: float = AGAIN
    counts: dict[Key, int] = field(default_factory=dict)
    stages: dict[tuple[Key, int], tuple[str, float]] = field(default_factory=dict)

    async def add(
        self, key: Key, new: int, threshold: int, before: Callable[[], Awaitable[int]]
    ) -> bool:
        """Add recorded attempts; return whether they reach the threshold, and then reset to 0."""
        if key in self.counts:
            count = self.counts[key] + new
        else:
            recorded_before = await before()
            count = max(
                recorded_before, self.counts.get(key, 0)
            )  # another task may have counted meanwhile
        enough = count >= threshold
        self.counts[key] = 0 if enough else count
        return enough

    def note_stage(self, key: Key, number: int, stage: str) -> bool:
        """Note the stage of a round's job; return whether a training should start for it."""
        before, at = self.stages.get((key, number), ("", 0.0))
        now = time.monotonic()
        if stage == before and now - at < self.again:
            return False
        self.stages[key, number] = (stage, now)
        return True

    def forget(self, key: Key) -> None:
        """Forget the count and the stages of a key, so that the next call counts in the store."""
        self.counts.pop(key, None)
        self.stages = {each: stage for each, stage in self.stages.items() if each[0] != key}
