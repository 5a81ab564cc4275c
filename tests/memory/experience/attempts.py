"""Attempts to record, and embeddings that count the words of a text."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from langchain_core.embeddings import Embeddings
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from apprentice.state.trajectory import InView, Task, Trajectory, Verdict

SOLVED = Verdict(success=True, score=1.0)
FAILED = Verdict(success=False, score=0.0)


class Words(Embeddings):
    """Embeddings in which texts with common words are near each other."""

    dimension = 64

    def __init__(self, dimension: int = dimension) -> None:
        self._dimension = dimension

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        vector = [0.01] * self._dimension
        for word in text.lower().split():
            vector[zlib.crc32(word.encode()) % self._dimension] += 1
        return vector

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embed_documents(texts)

    async def aembed_query(self, text: str) -> list[float]:
        return self.embed_query(text)


def task(name: str = "t", instruction: str = "", **fields: Any) -> Task:
    instruction = instruction or f"put the mug {name} on the shelf"
    return Task(id=name, environment="shop", instruction=instruction, **fields)


def attempt(
    of: Task,
    verdict: Verdict = SOLVED,
    turns: Sequence[str] = ("go to drawer 1", "take mug 1"),
    *,
    name: str = "",
    tenant: str = "team",
    exemplars: Sequence[str] = (),
    **fields: Any,
) -> Trajectory:
    """Return an attempt with an environment's answer after each turn."""
    messages: list[Any] = [SystemMessage("Act."), HumanMessage(f"You are here: {of.instruction}")]
    for turn in turns:
        messages += [AIMessage(turn), HumanMessage(f"After {turn} you see a cup.")]
    return Trajectory(
        id=name or f"of-{of.id}",
        tenant=tenant,
        task=of,
        messages=tuple(messages),
        verdict=verdict,
        in_view=InView(exemplars=tuple(exemplars)),
        **fields,
    )
