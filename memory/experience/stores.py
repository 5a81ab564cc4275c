"""Open the experience memories of a workspace. All tenants share one open engine."""

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
from apprentice.memory.experience.folder import REPLACED, SHARD, layout_of
from apprentice.memory.experience.layout import Layout
from apprentice.state.errors import BadInput, MissingPart, missing_extra

if TYPE_CHECKING:
    from apprentice.memory.experience.engine import SearchEngine

_Loop = asyncio.AbstractEventLoop
_PROBE: Final = "How many dimensions?"


class Embedder(NamedTuple):
    """An embedding model, and its name, which is stored in the memory's layout."""

    name: str
    model: Embeddings


@dataclass
class _Open:
    """An open engine, and the workspaces that use it."""

    engine: SearchEngine
    embedding: str
    users: set[int] = field(default_factory=set)


_folders: Final[dict[Path, _Open]] = {}
"""The folders that this process has open. Workspaces with the same folder share its engine."""
_folders_lock: Final = threading.Lock()


class ExperienceStores:
    """The experience memories of one workspace, one per tenant. The first use opens them.

    They are on a Qdrant server if there is an address, else in a folder, which only one process at
    a time can open. After `close`, the next use opens them again.

    Args:
        folder: the folder for memories without a server.
        embedder: returns the embedding model. It may block: it is called off the event loop.
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
        # A connection belongs to one event loop.
        self._servers: WeakKeyDictionary[_Loop, SearchEngine] = WeakKeyDictionary()
        self._connection_locks: WeakKeyDictionary[_Loop, asyncio.Lock] = WeakKeyDictionary()

    async def open(self, tenant: str) -> Experience:
        """Return a tenant's memory, and open it if necessary.

        Raises:
            MissingPart: a package is not installed, the server cannot be reached, or another
                process has the folder open.
            BrokenData: the folder holds no memory, or one with another schema or embedding.
        """
        embedder = await asyncio.to_thread(self._embedder)
        if self._url:
            engine = await self._server(embedder)
        else:
            engine = await asyncio.to_thread(self._open_folder, embedder)
        from apprentice.memory.experience.qdrant import QdrantExperience

        key = (id(engine), tenant)
        if key not in self._tenants:
            self._tenants[key] = QdrantExperience(engine, embedder.model, tenant)
        return self._tenants[key]

    async def close(self) -> None:
        """Close this workspace's memories. An engine that another workspace uses stays open."""
        self._tenants.clear()
        if server := self._servers.pop(asyncio.get_running_loop(), None):
            await server.close()
        with _folders_lock:
            path = self._folder.resolve()
            open_folder = _folders.get(path)
            if open_folder is None:
                return
            open_folder.users.discard(id(self))
            if open_folder.users:
                return
            del _folders[path]
        await open_folder.engine.close()

    @property
    def folder(self) -> Path:
        """The folder of the memory on this machine.

        Raises:
            BadInput: the workspace uses a server instead.
        """
        if self._url:
            raise BadInput(
                "QDRANT_URL names a Qdrant server, which optimises by itself and makes its own "
                "snapshots: https://qdrant.tech/documentation/concepts/snapshots. Unset it to use "
                "the memory in a folder on this machine."
            )
        return self._folder.resolve()

    def exists(self) -> bool:
        """Tell whether there is a memory to read. For a server the answer is yes."""
        return bool(self._url) or any((self._folder / name).exists() for name in (SHARD, REPLACED))

    def stored_embeddings(self) -> str:
        """Return the name of the embeddings that the folder's memory was made with; '' for none.

        Blocks on files.

        Raises:
            BrokenData: the memory's layout cannot be read.
        """
        if self._url:
            return ""
        for name in (SHARD, REPLACED):
            if (self._folder / name).exists():
                return layout_of(self._folder / name).embedding
        return ""

    def no_memory_error(self) -> MissingPart:
        """Return the error for commands that need a memory when there is none."""
        return MissingPart(
            f"There is no experience memory in {self.folder}. Record or import attempts."
        )

    def _open_folder(self, embedder: Embedder) -> SearchEngine:
        path = self._folder.resolve()
        with _folders_lock:
            if path not in _folders:
                edge = _import_engine("apprentice.memory.experience.edge")
                engine = edge.EdgeEngine.open(
                    path, embedder.name, lambda: len(embedder.model.embed_query(_PROBE))
                )
                _folders[path] = _Open(engine, embedder.name)
            open_folder = _folders[path]
            layout = Layout(embedding=open_folder.embedding, dimension=open_folder.engine.dimension)
            layout.expect(embedder.name, f"The experience memory {path}")
            open_folder.users.add(id(self))
            return open_folder.engine

    async def _server(self, embedder: Embedder) -> SearchEngine:
        async def dimension() -> int:
            return len(await embedder.model.aembed_query(_PROBE))

        loop = asyncio.get_running_loop()
        async with self._connection_locks.setdefault(loop, asyncio.Lock()):
            if loop not in self._servers:
                server = await asyncio.to_thread(
                    _import_engine, "apprentice.memory.experience.server"
                )
                client = server.connect(self._url, self._key)
                self._servers[loop] = await server.ServerEngine.open(
                    client, embedder.name, dimension
                )
            return self._servers[loop]


def _import_engine(engine: str) -> ModuleType:
    """Import an engine and the modules that use it; slow the first time."""
    try:
        import_module("apprentice.memory.experience.qdrant")
        return import_module(engine)
    except ImportError as error:
        raise missing_extra("memory", "An experience memory on a Qdrant server", error) from error
