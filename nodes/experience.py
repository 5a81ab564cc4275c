"""The experience memory that the server's settings name, for whoever records or recalls."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import cache
from importlib.util import find_spec
from typing import Final

from langgraph.runtime import Runtime

from apprentice.memory.experience import Experience
from apprentice.memory.experience.opening import opened
from apprentice.models import embeddings
from apprentice.state.context import Context

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


async def kept(memory: Memory | None, runtime: Runtime[Context]) -> Experience | None:
    """Return where a run's attempts are remembered; None where they are not.

    That is where a graph has a memory and, as with reflections, a store; unless the run's settings
    say otherwise, or the extra `memory` is not installed.
    """
    context = Context.of(runtime)
    if memory is None or runtime.store is None or not context.record:
        return None
    if memory is experience and not await asyncio.to_thread(installed):
        return None
    return await memory(context.tenant)


@cache
def installed() -> bool:
    """Tell whether the packages of the extra `memory` are there."""
    return all(find_spec(name) for name in ("qdrant_edge", "qdrant_client"))
