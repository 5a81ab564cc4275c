"""Budget: how much of the critic's context a question about transcripts may take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from langchain_core.messages import AnyMessage

from apprentice.models.tokens import estimate
from apprentice.nodes.agents import Agent
from apprentice.state.context import Context
from apprentice.state.errors import ContextOverflow
from apprentice.state.prompts import critique_successes
from apprentice.state.trajectory import text_of
from apprentice.workspace import Workspace

ANSWER: Final = 384
"""Tokens of an answer: enough for a thought on each rule and four operations. A run's settings may
allow more."""
RULES: Final = 8
"""The list of rules may grow to one part in so many of the context."""
_MARKUP: Final = 8
"""Tokens that a chat template puts around a message, at most."""


@dataclass(frozen=True)
class Budget:
    """How many tokens a question may take.

    Attributes:
        model: the critic's name.
        count: counts a text's tokens as the critic does.
        question: tokens that a question may have; None if the critic's context is not known.
    """

    model: str = ""
    count: Callable[[str], int] = estimate
    question: int | None = None

    @classmethod
    async def of(cls, critic: Agent | None, context: Context, workspace: Workspace) -> Budget:
        """Return the budget of the context's model; it is unknown for the caller's own critic."""
        if critic is not None:
            return cls()
        await workspace.ready()
        model = workspace.with_model(context).model
        length = await asyncio.to_thread(workspace.context_length, model)
        if length is None:
            return cls()
        count = await asyncio.to_thread(workspace.count_tokens, model)
        return cls(model, count, length - answer(context))

    def fits(self, prompt: Sequence[AnyMessage]) -> bool:
        """Tell whether a question leaves room for its answer."""
        return self.excess(prompt) == 0

    def transcripts(self, rules: Sequence[str]) -> int | None:
        """Return how many tokens of transcripts a question has room for; None if it is unknown.

        The list of rules grows during a run, so room is reserved for it.
        """
        if self.question is None:
            return None
        empty = self._size(critique_successes(rules, [], full=True))
        full_list = self._size(critique_successes([], [], full=True)) + self.question // RULES
        return max(1, self.question - max(empty, full_list))

    def excess(self, prompt: Sequence[AnyMessage]) -> int:
        """Return by how many tokens a question is too long."""
        return 0 if self.question is None else max(0, self._size(prompt) - self.question)

    def overflow(self, prompt: Sequence[AnyMessage]) -> ContextOverflow:
        """Return the error that says how long a question is, and how long it may be."""
        return ContextOverflow(self.model, self._size(prompt), self.question or 0)

    def _size(self, prompt: Sequence[AnyMessage]) -> int:
        return sum(self.count(text_of(message)) + _MARKUP for message in prompt)


def answer(context: Context) -> int:
    """Return how many tokens the critic may write."""
    return max(context.max_tokens, ANSWER)
