"""Load the judged attempts from which a training learns."""

from __future__ import annotations

from typing import NamedTuple

from apprentice.environments.registry import covers
from apprentice.memory.experience import OpenExperience
from apprentice.state.experience import StoredAttempt
from apprentice.state.trajectory import Trajectory
from apprentice.training.datasets.episodes import unusable


class JudgedAttempt(NamedTuple):
    """An attempt with its latest verdict.

    Attributes:
        at: when that verdict was given, in seconds since the epoch.
    """

    attempt: Trajectory
    at: float


async def load_attempts(
    recall_from: OpenExperience, tenant: str, environment: str
) -> list[JudgedAttempt]:
    """Return the attempts at an environment's tasks, sorted by id.

    Attempts on held-out splits are included, because no dataset may contain their first messages.
    """
    experience = await recall_from(tenant)
    attempts = [
        _with_time(stored)
        async for stored in experience.browse()
        if covers(environment, stored.trajectory.task.environment)
    ]
    return sorted(attempts, key=lambda judged_attempt: judged_attempt.attempt.id)


def usable_attempts(attempts: list[JudgedAttempt]) -> list[JudgedAttempt]:
    """Return the attempts from which a training can learn."""
    return [each for each in attempts if not unusable(each.attempt)]


def _with_time(stored: StoredAttempt) -> JudgedAttempt:
    at = stored.verdicts[-1].at if stored.verdicts else stored.trajectory.ended_at
    return JudgedAttempt(stored.trajectory, at or 0.0)
