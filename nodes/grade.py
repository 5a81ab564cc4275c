"""grade: the caller's own judge has the last word on an attempt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from langchain_core.messages import AnyMessage
from langgraph.runtime import Runtime

from nodes import Node
from nodes.agents import call
from state.context import Context
from state.episode import EpisodeState, EpisodeUpdate
from state.errors import BadInput
from state.nouns import Task, Verdict

Judge = (
    Callable[[Task, Sequence[AnyMessage], Verdict], Verdict]
    | Callable[[Task, Sequence[AnyMessage], Verdict], Awaitable[Verdict]]
)


def grading(judge: Judge) -> Node[EpisodeState, EpisodeUpdate]:
    """Return the node in which a judge weighs the environment's verdict."""

    async def grade(state: EpisodeState, runtime: Runtime[Context]) -> EpisodeUpdate:
        """Ask the judge for the verdict."""
        verdict = await call(judge, state.task, tuple(state.messages), state.verdict)
        if not isinstance(verdict, Verdict):
            raise BadInput(
                f"The judge returned a {type(verdict).__name__}, but must return a Verdict."
            )
        return {"verdict": verdict}

    return grade
