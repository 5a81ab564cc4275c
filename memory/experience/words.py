"""Recall by words only, for installations without an embedding model.

The experience memory then needs neither torch nor a hosted model. Its points have a dense vector of
one constant number, so that the layout is the same with and without a model.
"""

from __future__ import annotations

from typing import Final

from langchain_core.embeddings import Embeddings
from typing_extensions import override

from apprentice.state.errors import BadInput
from apprentice.state.experience import Query

NONE: Final = "none"
"""The name in the layout of a memory without embeddings."""


class NoEmbeddings(Embeddings):
    """A stand-in for an embedding model: every text has the same vector."""

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
    """Return the query with `hybrid` replaced by `text`.

    Raises:
        BadInput: the query asks for recall by meaning only.
    """
    if query.how == "meaning":
        raise BadInput(
            "This experience memory has no embeddings, so it cannot recall by meaning. Recall by "
            "'text' or 'hybrid'; or name a model in APPRENTICE_EMBEDDINGS, and import the memory's "
            "export into an empty folder."
        )
    return query.model_copy(update={"how": "text"}) if query.how == "hybrid" else query
