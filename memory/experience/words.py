"""Recall by words alone, where there is no embedding model.

The experience memory then needs neither torch nor a hosted model. Its points have a dense vector of
one number, which says nothing, so that the layout is the same with and without a model.
"""

from __future__ import annotations

from typing import Final

from langchain_core.embeddings import Embeddings
from typing_extensions import override

from apprentice.state.errors import BadInput
from apprentice.state.experience import Query

NONE: Final = "none"
"""The name of the embeddings of a memory that has none."""


class NoEmbeddings(Embeddings):
    """In the place of an embedding model: every text is as near as any other."""

    @override
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[1.0] for _ in texts]

    @override
    def embed_query(self, text: str) -> list[float]:
        return [1.0]

    @override
    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embed_documents(texts)

    @override
    async def aembed_query(self, text: str) -> list[float]:
        return self.embed_query(text)


def by_words(query: Query) -> Query:
    """Return a query that asks for words where it asked for meaning and words.

    Raises:
        BadInput: it asks for meaning alone.
    """
    if query.how == "meaning":
        raise BadInput(
            "This experience memory has no embeddings, so it cannot recall by meaning. Recall by "
            "'text' or 'hybrid'; or name a model in APPRENTICE_EMBEDDINGS, and import the memory's "
            "export into an empty folder."
        )
    return query.model_copy(update={"how": "text"}) if query.how == "hybrid" else query
