"""Opening the experience memory: once in a process and place, whichever tenants then use it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

from langchain_core.embeddings import Embeddings

from apprentice.memory.experience import Experience
from apprentice.memory.experience.folder import REPLACED, SHARD
from apprentice.memory.experience.layout import Layout
from apprentice.state.errors import BadInput, MissingExtra, MissingPart

if TYPE_CHECKING:
    from apprentice.memory.experience.engine import SearchEngine

_Loop = asyncio.AbstractEventLoop
_PROBE: Final = "How many dimensions?"


class Embedder(NamedTuple):
    """An embedding model and its name, which a memory remembers."""

    name: str
    model: Embeddings


@dataclass
class _Open:
    """An open engine, and who uses it."""

    engine: SearchEngine
    embedding: str
    users: set[int] = field(default_factory=set)


_folders: Final[dict[Path, _Open]] = {}
"""The folders that this process has open: two that use one folder share its engine."""
_folders_lock: Final = threading.Lock()


class ExperienceStores:
    """The experience memories of one workspace, a tenant each; opened with the first use.

    They are on a Qdrant server where an address is given, else in a folder, which one process at a
    time can open. After `close` the next use opens them again.

    Args:
        folder: where they are kept without a server.
        embedder: returns the embedding model; blocks, and is called off the event loop.
        url: the address of a Qdrant server; '' for none.
        key: the server's key, if it needs one.
    """

    def __init__(
        self,
        folder: Path,
        embedder: Callable[[], Embedder],
        *,
        url: str = "",
        key: str | None = None,
    ) -> None:
        self._folder = folder
        self._embedder = embedder
        self._url = url
        self._key = key
        self._tenants: dict[tuple[int, str], Experience] = {}
        # Connections belong to their event loop.
        self._servers: WeakKeyDictionary[_Loop, SearchEngine] = WeakKeyDictionary()
        self._connecting: WeakKeyDictionary[_Loop, asyncio.Lock] = WeakKeyDictionary()

    async def open(self, tenant: str) -> Experience:
        """Return a tenant's memory, opening it if it is not open yet.

        Raises:
            MissingPart: a package is not installed, the server cannot be reached, or another
                process holds the folder.
            BrokenData: what is there is no memory, or one of another schema or embedding.
        """
        embedder = await asyncio.to_thread(self._embedder)
        if self._url:
            engine = await self._server(embedder)
        else:
            engine = await asyncio.to_thread(self._opened, embedder)
        from apprentice.memory.experience.qdrant import QdrantExperience

        key = (id(engine), tenant)
        if key not in self._tenants:
            self._tenants[key] = QdrantExperience(engine, embedder.model, tenant)
        return self._tenants[key]

    async def close(self) -> None:
        """Close what this workspace and event loop have open, unless another workspace uses it."""
        self._tenants.clear()
        if server := self._servers.pop(asyncio.get_running_loop(), None):
            await server.close()
        with _folders_lock:
            path = self._folder.resolve()
            found = _folders.get(path)
            if found is None:
                return
            found.users.discard(id(self))
            if found.users:
                return
            del _folders[path]
        await found.engine.close()

    @property
    def folder(self) -> Path:
        """The folder of the memory that this machine keeps.

        Raises:
            BadInput: a server is used in its place.
        """
        if self._url:
            raise BadInput(
                "QDRANT_URL names a Qdrant server, which optimises by itself and makes its own "
                "snapshots: https://qdrant.tech/documentation/concepts/snapshots. Unset it for the "
                "memory that this machine keeps in a folder."
            )
        return self._folder.resolve()

    def begun(self) -> bool:
        """Tell whether there is a memory to read; a server answers for itself, so there yes."""
        return bool(self._url) or any((self._folder / name).exists() for name in (SHARD, REPLACED))

    def none_yet(self) -> MissingPart:
        """Return the error for who needs a memory where there is none."""
        return MissingPart(
            f"There is no experience memory in {self.folder}. Record or import attempts."
        )

    def _opened(self, embedder: Embedder) -> SearchEngine:
        path = self._folder.resolve()
        with _folders_lock:
            if path not in _folders:
                edge = _imported("apprentice.memory.experience.edge")
                engine = edge.EdgeEngine.opened(
                    path, embedder.name, lambda: len(embedder.model.embed_query(_PROBE))
                )
                _folders[path] = _Open(engine, embedder.name)
            found = _folders[path]
            layout = Layout(embedding=found.embedding, dimension=found.engine.dimension)
            layout.expect(embedder.name, f"The experience memory {path}")
            found.users.add(id(self))
            return found.engine

    async def _server(self, embedder: Embedder) -> SearchEngine:
        async def dimension() -> int:
            return len(await embedder.model.aembed_query(_PROBE))

        loop = asyncio.get_running_loop()
        async with self._connecting.setdefault(loop, asyncio.Lock()):
            if loop not in self._servers:
                server = await asyncio.to_thread(_imported, "apprentice.memory.experience.server")
                client = server.connected(self._url, self._key)
                self._servers[loop] = await server.ServerEngine.opened(
                    client, embedder.name, dimension
                )
            return self._servers[loop]


def _imported(engine: str) -> ModuleType:
    """Import an engine and what works on it, which takes a moment the first time."""
    try:
        import_module("apprentice.memory.experience.qdrant")
        return import_module(engine)
    except ImportError as error:
        raise MissingExtra("memory", "An experience memory on a Qdrant server", error) from error
