"""The experience memory: it stores every attempt with its outcome, and recalls similar ones."""

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
from apprentice.state.trajectory import Trajectory, Verdict


class Experience(Protocol):
    """One tenant's attempts. `workspace.experience(tenant)` opens it.

    No method reads or changes another tenant's attempts. When a call returns, its changes are
    durable.

    Example:
        async with Workspace("apprentice-data") as workspace:
            experience = await workspace.experience("default")
            for recollection in await experience.recall(Query(task=task, limit=3)):
                print(recollection.text)
    """

    tenant: str

    async def record(self, trajectories: Iterable[Trajectory]) -> RecordReceipt:
        """Store trajectories. A trajectory whose id is stored already changes nothing.

        Raises:
            BadInput: one of them belongs to another tenant, cannot be written or is too large.
                None is stored then.
        """

    async def annotate(self, trajectory: str, verdict: Verdict, at: float | None = None) -> bool:
        """Add a later verdict to a trajectory; return False if it is the latest one already.

        Args:
            trajectory: the trajectory's id.
            verdict: the verdict.
            at: the verdict's time (Unix time in seconds). Defaults to now, after all others.

        Raises:
            BadInput: the trajectory is not stored, or the time is invalid.
        """

    async def reflect(self, trajectory: str, reflection: str) -> None:
        """Store a reflection on a stored failure, so that similar tasks can recall it."""

    async def recall(self, query: Query, count: Callable[[str], int] = len) -> list[Recollection]:
        """Return attempts, steps or reflections that help with a task, the most relevant first.

        Args:
            query: the task, and what to recall for it.
            count: counts the tokens of a text, for `query.tokens`.
        """

    async def get(self, trajectory: str) -> StoredAttempt | None:
        """Return a trajectory with its verdicts, or None if it is not stored."""

    def browse(
        self,
        *,
        environment: str = "",
        kind: str = "",
        outcome: OutcomeFilter | None = None,
        on_unreadable: Callable[[BrokenData], None] = lambda error: None,
    ) -> AsyncIterator[StoredAttempt]:
        """Iterate over the stored attempts, also held-out ones and those without a verdict.

        An unreadable attempt is left out, and `on_unreadable` is called with the error.
        """

    async def forget(self, trajectories: Sequence[str]) -> tuple[str, ...]:
        """Erase trajectories with their steps and reflections; return the ids that were stored."""

    async def report(self) -> ExperienceReport:
        """Return the number of attempts, and how often each was used."""

    async def tidy(self, capacity: int | None = None) -> Upkeep:
        """Set near-duplicates aside, and evict the least useful attempts beyond the capacity.

        Near-duplicates go first, then held-out attempts, then those that helped least as
        exemplars. An attempt that was never shown, or has no verdict yet, counts as one that
        helped half of the time. Among equals, the oldest goes. When a memory is full, `record`
        does the same, but never evicts the attempts that it has just stored.
        """

    async def optimize(self) -> None:
        """Rebuild the indexes of all tenants. Use it for maintenance: it blocks everything else."""


OpenExperience = Callable[[str], Awaitable[Experience]]
"""A function that opens a tenant's experience memory, such as `workspace.experience`."""
