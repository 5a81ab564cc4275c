"""Every attempt, remembered with its outcome, and recalled where it helps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Protocol

from apprentice.state.errors import BrokenData
from apprentice.state.experience import (
    ExperienceReport,
    OutcomeFilter,
    Query,
    Recollection,
    RecordReceipt,
    StoredAttempt,
    Upkeep,
)
from apprentice.state.nouns import Trajectory, Verdict


class Experience(Protocol):
    """One tenant's attempts. `workspace.experience(tenant)` opens it.

    Nothing here reaches another tenant's. What is acknowledged outlives the process.

    Example:
        async with Workspace("apprentice-data") as workspace:
            experience = await workspace.experience("default")
            for recollection in await experience.recall(Query(task=task, limit=3)):
                print(recollection.text)
    """

    tenant: str

    async def record(self, trajectories: Iterable[Trajectory]) -> RecordReceipt:
        """Keep trajectories; one whose id is known is left as it is.

        Raises:
            BadInput: one of them is another tenant's, or cannot be written or is too large; then
                none is kept.
        """

    async def annotate(self, trajectory: str, verdict: Verdict, at: float | None = None) -> bool:
        """Give a trajectory a later verdict; False when that is its latest already.

        Args:
            trajectory: its id.
            verdict: how it ended.
            at: when that was said, in Unix time in seconds; now, and as the latest, when left out.

        Raises:
            BadInput: no such trajectory is kept, or the time cannot be.
        """

    async def reflect(self, trajectory: str, reflection: str) -> None:
        """Keep what was learned from a kept failure, to be recalled for similar tasks."""

    async def recall(self, query: Query, count: Callable[[str], int] = len) -> list[Recollection]:
        """Return what helps with a task, the most relevant first.

        Args:
            query: the question.
            count: counts a text's tokens, for `query.tokens`.
        """

    async def get(self, trajectory: str) -> StoredAttempt | None:
        """Return a trajectory with its verdicts; None when it is not kept."""

    def browse(
        self,
        *,
        environment: str = "",
        kind: str = "",
        outcome: OutcomeFilter | None = None,
        on_unreadable: Callable[[BrokenData], None] = lambda error: None,
    ) -> AsyncIterator[StoredAttempt]:
        """Iterate over what is kept, held-out splits and what has no verdict included.

        What cannot be read keeps nobody from the rest: it is left out, and `unread` hears of it.
        """

    async def forget(self, trajectories: Sequence[str]) -> tuple[str, ...]:
        """Erase trajectories and all that was derived from them; return the ids that were kept."""

    async def report(self) -> ExperienceReport:
        """Return what is kept and how it is used."""

    async def tidy(self, capacity: int | None = None) -> Upkeep:
        """Set near-duplicates of a task aside, and let go of the least useful beyond capacity.

        First go those set aside, then held-out ones, then those that helped least when they were
        shown. What was not shown yet, or waits for its verdict, counts as if it helped every other
        time. Of equals the oldest goes. Recording in a full memory does the same, and never lets
        go of what it was given.
        """

    async def optimize(self) -> None:
        """Build the indexes of all tenants anew: for maintenance, since nothing else can run."""


OpenExperience = Callable[[str], Awaitable[Experience]]
"""Opens a tenant's experience memory, such as `workspace.experience`."""
