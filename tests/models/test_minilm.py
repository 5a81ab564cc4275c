"""The embedded embedding model, with its real weights."""

from __future__ import annotations

import asyncio
import math

import pytest

from apprentice.state.errors import BadInput, MissingPart, UnknownName
from tests.served import SHIPPED

TEXTS = [
    "put a clean mug on the shelf",
    "place a washed cup on a shelf",
    "transfer seven dollars to Ann",
    "",
    "long " * 2_000,
]


async def test_texts_with_the_same_meaning_are_near() -> None:
    model = SHIPPED.embeddings("local:minilm")
    mug, cup, money, *_ = vectors = await model.aembed_documents(TEXTS)
    assert all(len(vector) == 384 for vector in vectors)
    assert all(math.isclose(math.hypot(*vector), 1, rel_tol=1e-4) for vector in vectors)
    assert _dot(mug, cup) > 0.6
    assert _dot(mug, money) < 0.3


async def test_batches_and_concurrent_queries_give_the_same_vectors() -> None:
    model = SHIPPED.embeddings("local:minilm")
    assert SHIPPED.embeddings("local:minilm") is model
    texts = [f"go to drawer {number}" for number in range(40)]
    together = await model.aembed_documents(texts)
    alone = await asyncio.gather(*(model.aembed_query(text) for text in reversed(texts)))
    for one, other in zip(together, reversed(alone), strict=True):
        assert _dot(one, other) > 0.9999
    assert await asyncio.to_thread(model.embed_query, texts[0]) == together[0]


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("minilm", BadInput, "names no model"),
        ("local:bert", UnknownName, "Unknown local embedding model 'bert'.*Known: minilm"),
        ("nobody:x", UnknownName, "Unknown model provider 'nobody'"),
        ("anthropic:x", UnknownName, "Unknown model provider 'anthropic'"),
        ("openai:text-embedding-3-small", MissingPart, "set OPENAI_API_KEY"),
    ],
)
def test_what_cannot_be_had_is_a_sentence(name: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        SHIPPED.embeddings(name)


def _dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
