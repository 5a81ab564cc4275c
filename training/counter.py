"""How many attempts have been recorded since a training was last started."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

AGAIN: Final = 600.0
"""Seconds after which a round that has not moved is looked at once more."""
Key = tuple[str, str, str]
"""Tenant, environment and model."""


@dataclass
class Counter:
    """How many attempts have been recorded since training was last started, as this process knows.

    What was recorded before this process began is count once, from memory. Of a round that is
    open, a training is started once for each stage of its job, and again after a while.

    Attributes:
        again: seconds after which a round that has not moved is looked at once more.
    """

    again: float = AGAIN
    counts: dict[Key, int] = field(default_factory=dict)
    stages: dict[tuple[Key, int], tuple[str, float]] = field(default_factory=dict)

    async def add(
        self, key: Key, new: int, threshold: int, before: Callable[[], Awaitable[int]]
    ) -> bool:
        """Count attempts that are recorded; True when they make enough, and then from 0 again."""
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
        """Tell whether a round's job is at a stage that no training was started for of late."""
        before, at = self.stages.get((key, number), ("", 0.0))
        now = time.monotonic()
        if stage == before and now - at < self.again:
            return False
        self.stages[key, number] = (stage, now)
        return True

    def forget(self, key: Key) -> None:
        """Count from memory again, and start a training for whatever stage a round is at."""
        self.counts.pop(key, None)
        self.stages = {each: stage for each, stage in self.stages.items() if each[0] != key}
