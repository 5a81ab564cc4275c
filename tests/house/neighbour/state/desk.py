"""What the desk knows."""

from typing import TypedDict

from apprentice import Task, Verdict


class DeskInput(TypedDict):
    """What comes in."""

    place: str


class Desk(TypedDict, total=False):
    """What comes in, and what is made of it."""

    place: str
    task: Task
    verdict: Verdict
    outcome: str
    trials: int
    filed: str
