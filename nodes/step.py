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
from apprentice.state.nouns import Task, text_of
from apprentice.workspace import Workspace

KNOWN: Final = 256
"""Names that are known to answer at once, at most; callers can make up endless ones."""


def step_in(
    workspace: Workspace, after: str, again: str = "act"
) -> Node[EpisodeState, Command[str]]:
    """Return the node in which the environment answers.

    Args:
        workspace: has the environments.
        after: the node that comes when the attempt is over; grading, after an open task.
        again: the node that comes otherwise.
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
                "be carried out. Resume from a checkpoint that ends with one."
            )
        name = state.task.environment
        if name in instant:
            done = advance(state.task, before, turn)
        else:
            # The first look at an environment may read files, in whichever process goes on here.
            done = await asyncio.to_thread(advance, state.task, before, turn)
            where = workspace.environment(name)
            if len(instant) < KNOWN and isinstance(where, Instant) and where.instant:
                instant.add(name)
        runtime.stream_writer(
            {
                "type": "episode.step",
                "task": state.task.id,
                "steps": done.steps,
                "turn": text_of(turn),
                "reply": text_of(done.reply),
                "success": done.verdict.success if done.verdict else None,
                "over": done.verdict is not None,
            }
        )
        update: EpisodeUpdate = {
            "messages": [done.reply],
            "steps": done.steps,
            "verdict": done.verdict,
        }
        if done.verdict is None:
            return Command(update=update, goto=again)
        return Command(update=update, goto="grade" if awaits(state.task, done.verdict) else after)

    return step
