"""The experience memory that the server's settings name, for whoever records or recalls."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Final

from memory.experience import Experience
from memory.experience.opening import opened
from models import embeddings

EMBEDDINGS: Final = "local:minilm"

Memory = Callable[[str], Awaitable[Experience]]
"""Opens a tenant's memory."""


async def experience(tenant: str) -> Experience:
    """Return a tenant's experience memory, embedding with APPRENTICE_EMBEDDINGS.

    Raises:
        MissingPart: a package or key is missing, the server named by QDRANT_URL cannot be
            reached, or another process holds the folder.
        BrokenData: what is there is no memory, or one of another schema or embedding.
    """
    name = os.environ.get("APPRENTICE_EMBEDDINGS") or EMBEDDINGS
    return await opened(tenant, name, await asyncio.to_thread(embeddings, name))
