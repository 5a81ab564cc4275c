"""Opening the memory: once a process and place, whichever tenants then use it."""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from langchain_core.embeddings import Embeddings

from apprentice.memory.experience import Experience
from apprentice.memory.experience.folder import REPLACED, SHARD
from apprentice.memory.store import data_folder
from apprentice.state.errors import BadInput, MissingPart

if TYPE_CHECKING:
    from apprentice.memory.experience.engine import SearchEngine

FOLDER: Final = "experience"
_PROBE: Final = "How many dimensions?"


@dataclass
class _Opened:
    """An open engine and each tenant's memory in it."""

    engine: SearchEngine
    tenants: dict[str, Experience] = field(default_factory=dict)

    def of(self, tenant: str, embeddings: Embeddings) -> Experience:
        """Return a tenant's memory."""
        from apprentice.memory.experience.qdrant import QdrantExperience

        if tenant not in self.tenants:
            self.tenants[tenant] = QdrantExperience(self.engine, embeddings, tenant)
        return self.tenants[tenant]


@dataclass
class _Servers:
    """The servers that one event loop is connected to; connections belong to their loop."""

    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    opened: dict[str, _Opened] = field(default_factory=dict)


_folders: Final[dict[Path, _Opened]] = {}
_folders_lock: Final = threading.Lock()
_servers: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, _Servers]] = WeakKeyDictionary()


async def opened(tenant: str, embedding: str, embeddings: Embeddings) -> Experience:
    """Return a tenant's memory, opening it if this process has not yet.

    It is on the Qdrant server that QDRANT_URL names (with QDRANT_API_KEY), else in the folder
    `experience` under APPRENTICE_DATA.

    Args:
        tenant: whose memory.
        embedding: name of the embedding model, which the memory remembers.
        embeddings: that model.

    Raises:
        MissingPart: a package is not installed, the server cannot be reached, or another process
            holds the folder.
        BrokenData: what is there is no memory, or one of another schema or embedding.
    """
    if url := os.environ.get("QDRANT_URL", ""):
        return (await _server(url, embedding, embeddings)).of(tenant, embeddings)
    found = await asyncio.to_thread(_folder, embedding, embeddings)
    return found.of(tenant, embeddings)


async def close() -> None:
    """Close every memory that this process and event loop have open."""
    servers = _servers.pop(asyncio.get_running_loop(), _Servers())
    for one in (*_folders.values(), *servers.opened.values()):
        await one.engine.close()
    _folders.clear()


def folder() -> Path:
    """Return the folder of the memory that this machine keeps.

    Raises:
        BadInput: QDRANT_URL names a server in its place.
    """
    if os.environ.get("QDRANT_URL", ""):
        raise BadInput(
            "QDRANT_URL names a Qdrant server, which optimises by itself and makes its own "
            "snapshots: https://qdrant.tech/documentation/concepts/snapshots. Unset it for the "
            "memory that this machine keeps in a folder."
        )
    return (data_folder() / FOLDER).resolve()


def begun() -> bool:
    """Tell whether there is a memory to read; a Qdrant server answers for itself, so there yes."""
    if os.environ.get("QDRANT_URL", ""):
        return True
    return any((folder() / name).exists() for name in (SHARD, REPLACED))


def none_yet() -> MissingPart:
    """Return the error for who needs a memory where there is none."""
    return MissingPart(f"There is no experience memory in {folder()}. Record or import attempts.")


def _folder(embedding: str, embeddings: Embeddings) -> _Opened:
    path = folder()
    with _folders_lock:
        if path not in _folders:
            edge = _imported("apprentice.memory.experience.edge")
            engine = edge.EdgeEngine.opened(
                path, embedding, lambda: len(embeddings.embed_query(_PROBE))
            )
            _folders[path] = _Opened(engine)
        return _folders[path]


async def _server(url: str, embedding: str, embeddings: Embeddings) -> _Opened:
    async def dimension() -> int:
        return len(await embeddings.aembed_query(_PROBE))

    servers = _servers.setdefault(asyncio.get_running_loop(), _Servers())
    async with servers.opening:
        if url not in servers.opened:
            server = await asyncio.to_thread(_imported, "apprentice.memory.experience.server")
            client = server.connected(url, os.environ.get("QDRANT_API_KEY") or None)
            engine = await server.ServerEngine.opened(client, embedding, dimension)
            servers.opened[url] = _Opened(engine)
        return servers.opened[url]


def _imported(engine: str) -> ModuleType:
    """Import an engine and what works on it, which takes a moment the first time."""
    try:
        import_module("apprentice.memory.experience.qdrant")
        return import_module(engine)
    except ImportError as error:
        raise MissingPart(
            f"The experience memory needs packages that are not installed ({error}). Install "
            "them: pip install -c constraints.txt -e '.[memory]'"
        ) from error
