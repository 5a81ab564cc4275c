"""Environments that ship, and episodes in them, for tests that need no workspace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage

from apprentice.environments.advance import Advance, Episodes
from apprentice.environments.registry import Environments
from apprentice.settings import Settings
from apprentice.state.trajectory import Task

ENVIRONMENTS: Final = Environments(alfworld=Settings().alfworld)
EPISODES: Final = Episodes()
environment = ENVIRONMENTS.get


def start(task: Task) -> HumanMessage:
    """Begin an attempt at a task of an environment that ships."""
    return EPISODES.start(environment(task.environment), task)


def advance(task: Task, messages: Sequence[AnyMessage], turn: AIMessage) -> Advance:
    """Carry out a turn of an attempt in an environment that ships."""
    return EPISODES.advance(environment(task.environment), task, messages, turn)
