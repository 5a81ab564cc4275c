"""step: the environment's turn."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from langchain_core.messages import AIMessage, AnyMessage
from langgraph.runtime import Runtime
from langgraph.types import Command

from apprentice.environments.advance import Advance
from apprentice.environments.protocol import Instant
from apprentice.nodes import Node
from apprentice.nodes.grade import awaits
from apprentice.state.context import Context
from apprentice.state.episode import EpisodeState, EpisodeUpdate
from apprentice.state.errors import BrokenData
from apprentice.state.trajectory import Task, text_of
from apprentice.workspace import Workspace

INSTANT_LIMIT: Final = 256
"""How many names of instant environments the node remembers; callers can invent any number."""


def step_in(
    workspace: Workspace, after: str, again: str = "act"
) -> Node[EpisodeState, Command[str]]:
    """Return the node in which the environment answers.

    Args:
        workspace: has the environments.
        after: the node that follows a finished attempt; `grade` follows an open task instead.
        again: the node that follows otherwise.
    """

    instant: set[str] = set()

    def advance(task: Task, before: Sequence[AnyMessage], turn: AIMessage) -> Advance:
        where = workspace.environment(task.environment)
        return workspace.episodes.advance(where, task, before, turn)

    async def step(state: EpisodeState, runtime: Runtime[Context]) -> Command[str]:
        """Carry out the agent's turn, and go on until there is a verdict."""
        *before, turn = state.messages
        if not isinstance(turn, AIMessage):
            raise BrokenData(
                f"The transcript ends with a {turn.type!r} message, but only an agent's turn can "
                "be carried out. Resume from a checkpoint that ends with an agent's turn."
            )
        name = state.task.environment
        if name in instant:
            outcome = advance(state.task, before, turn)
        else:
            # An environment may read files when it is first used in a process.
            outcome = await asyncio.to_thread(advance, state.task, before, turn)
            where = workspace.environment(name)
            if len(instant) < INSTANT_LIMIT and isinstance(where, Instant) and where.instant:
                instant.add(name)
        runtime.stream_writer(
            {
                "type": "episode.step",
                "task": state.task.id,
                "steps": outcome.steps,
                "turn": text_of(turn),
                "reply": text_of(outcome.reply),
                "success": outcome.verdict.success if outcome.verdict else None,
                "over": outcome.verdict is not None,
            }
        )
        update: EpisodeUpdate = {
            "messages": [outcome.reply],
            "steps": outcome.steps,
            "verdict": outcome.verdict,
        }
        if outcome.verdict is None:
            return Command(update=update, goto=again)
        return Command(
            update=update, goto="grade" if awaits(state.task, outcome.verdict) else after
        )

    return step
