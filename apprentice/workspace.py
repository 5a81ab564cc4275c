"""Workspace: the one place that puts folders, models, environments and memories together.

    async with Workspace("apprentice-data", model="openai:gpt-5-mini") as workspace:
        async with workspace.store() as store:
            graph = build(workspace=workspace).compile(store=store)

Graphs and nodes get what they need from a workspace that is passed to them. So two workspaces with
different folders can live in one process, and neither sees the other's data.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langgraph.store.base import BaseStore
from langgraph.store.sqlite.aio import AsyncSqliteStore

from apprentice.environments.advance import Episodes
from apprentice.environments.protocol import Environment
from apprentice.environments.registry import Environments
from apprentice.memory.exemplar_sets import ExemplarSet
from apprentice.memory.experience import Experience
from apprentice.memory.experience.stores import Embedder, ExperienceStores
from apprentice.memory.experience.words import NONE, NoEmbeddings
from apprentice.memory.store import open_store
from apprentice.models import Models, minilm
from apprentice.models.names import LocalModels
from apprentice.models.tokens import context_length, counter
from apprentice.settings import Settings
from apprentice.state.context import Context
from apprentice.state.errors import BadInput, MissingPart
from apprentice.training.adapters import Adapters
from apprentice.training.attempt_counter import Counter
from apprentice.training.jobs import Launcher, LocalLauncher, Processes, Spawn
from apprentice.training.rounds import Rounds
from apprentice.training.workbench import Workbench

LOCAL: Final = "local:"
NO_MODEL: Final = (
    "No chat model is named. Set APPRENTICE_MODEL, in the environment or in .env, or name one for "
    "this run: --model on the command line, `model` in the context. local:novice is the embedded "
    "demo model; it knows only the household."
)


class ChatModels(Protocol):
    """Makes the chat model of a name, in place of this project's own `Models.chat`."""

    def __call__(
        self,
        name: str,
        *,
        adapter: str = "",
        temperature: float = 0.0,
        max_tokens: int = 128,
        seed: int | None = None,
    ) -> BaseChatModel:
        """Return the chat model of a name, with these settings."""


class Workspace:
    """A deployment, or a part of one: its data, models, environments and memories.

    It is cheap to make: it reads, writes and connects to nothing before somebody uses it.

    Args:
        data: the folder of the data; by default, the settings name it.
        model: the chat model of every run that names none: a chat model, or a name such as
            openai:gpt-5-mini; by default, the settings name it.
        settings: of the deployment; by default, the settings of this process.
        embeddings: the embedding model that finds similar tasks, or its name; by default, the
            settings name it.
        chat_models: makes chat models by name, if they do not come from LangChain's providers.
        environments: more environments by name, each with the function that makes it. The
            environments that ship and those of packages are there as well.
        spawn: starts the process of a training job; by default, a process of this machine.

    Example:
        >>> workspace = Workspace("apprentice-data", model="local:novice")
        >>> workspace.data.name
        'apprentice-data'
    """

    patience: float = 300.0
    """Seconds that a hosted model may take for an answer; providers' clients wait for longer."""

    def __init__(
        self,
        data: Path | str | None = None,
        *,
        model: BaseChatModel | str | None = None,
        settings: Settings | None = None,
        embeddings: Embeddings | str | None = None,
        chat_models: ChatModels | None = None,
        environments: Mapping[str, Callable[..., Environment]] | None = None,
        spawn: Spawn | None = None,
    ) -> None:
        if isinstance(data, Settings):
            raise BadInput("A workspace's first argument is its folder: Workspace(settings=...).")
        self._data = None if data is None else Path(data)
        self._model = model
        self._settings = settings
        self._embeddings = embeddings
        self._chat_models = chat_models
        self._own_environments = environments
        self._spawn = spawn
        self.new_attempts = Counter()
        """Counts the attempts that were recorded since a training last started."""

    def with_adapters(self, folder: Path, *, threads: int | None = None) -> Workspace:
        """Return the same workspace with another folder of adapters.

        Args:
            folder: of the adapters.
            threads: CPU threads of each training job, unless the settings say how many.
        """
        changes: dict[str, object] = {"adapters": folder}
        if threads and not self.settings.threads:
            changes["threads"] = str(threads)
        return Workspace(
            self._data,
            model=self._model,
            settings=self.settings.model_copy(update=changes),
            embeddings=self._embeddings,
            chat_models=self._chat_models,
            environments=self._own_environments,
            spawn=self._spawn,
        )

    @cached_property
    def settings(self) -> Settings:
        """The settings; those of the process are read at the first use.

        Raises:
            BadInput: a variable cannot have its value.
        """
        return self._settings or Settings.of_process()

    async def ready(self) -> None:
        """Read the settings if they are not read yet, in a thread, because `.env` is a file."""
        if "settings" not in vars(self):
            await asyncio.to_thread(getattr, self, "settings")

    @cached_property
    def data(self) -> Path:
        """The folder of the store, the experience memory, the adapters and the jobs."""
        return self._data or self.settings.data

    @asynccontextmanager
    async def store(self) -> AsyncIterator[AsyncSqliteStore]:
        """Open the store of rules, reflections and releases; closing it writes what is pending."""
        await self.ready()
        async with open_store(self.data) as sqlite_store:
            yield sqlite_store

    @cached_property
    def experiences(self) -> ExperienceStores:
        """The experience memories: in a folder of the data, or on a Qdrant server."""
        key = self.settings.qdrant_api_key
        return ExperienceStores(
            self.data / "experience",
            self._embedder,
            url=self.settings.qdrant_url,
            key=key.get_secret_value() if key else None,
        )

    def experiences_in(self, folder: Path) -> ExperienceStores:
        """Return experience memories in a folder of their own, with the same embeddings."""
        return ExperienceStores(folder, self._embedder)

    async def experience(self, tenant: str) -> Experience:
        """Return a tenant's experience memory; the first call opens it.

        Raises:
            MissingPart: a package or key is missing, the server named by QDRANT_URL cannot be
                reached, or another process holds the folder.
            BrokenData: the folder is not a memory, or its schema or embedding is another one.
        """
        await self.ready()
        return await self.experiences.open(tenant)

    @cached_property
    def environments(self) -> Environments:
        """The environments by name."""
        settings = self.settings
        return Environments(settings.tasks, settings.alfworld, self._own_environments)

    def environment(self, name: str) -> Environment:
        """Return the environment of a name; blocks on files.

        Raises:
            UnknownName: there is no such environment; names the nearest one.
        """
        return self.environments.get(name)

    @cached_property
    def episodes(self) -> Episodes:
        """The episodes under way."""
        return Episodes()

    @property
    def local_models(self) -> LocalModels:
        """The local models, and the folder of their adapters."""
        return self.models.local

    @cached_property
    def models(self) -> Models:
        """The chat and embedding models by name."""
        return Models.of(self.settings, self.data)

    @property
    def model(self) -> str:
        """The name of the model of every run that names none; '' if the workspace names none."""
        if isinstance(self._model, BaseChatModel):
            return name_of(self._model)
        return self._model or self.settings.model

    def with_model(self, context: Context) -> Context:
        """Return a run's settings with the name of its model, by default the workspace's."""
        return context if context.model else replace(context, model=self.model)

    def chat(
        self,
        name: str = "",
        *,
        adapter: str = "",
        temperature: float = 0.0,
        max_tokens: int = 128,
        seed: int | None = None,
    ) -> BaseChatModel:
        """Return the chat model of a name, or the workspace's model without one; see `Models`.

        Raises:
            MissingPart: no model is named, or a key or a package is missing.
            BadInput: there is no such model.
        """
        model_name = name or self.model
        if isinstance(self._model, BaseChatModel) and model_name == name_of(self._model):
            return self._model
        if not model_name:
            raise MissingPart(NO_MODEL)
        make = self._chat_models or self.models.chat
        return make(
            model_name, adapter=adapter, temperature=temperature, max_tokens=max_tokens, seed=seed
        )

    def check_model(self, name: str = "", adapter: str = "") -> str:
        """Check that a model can be used before anything starts, and return its name.

        Raises:
            BadInput: there is no such model.
            MissingPart: no model is named, or it lacks a key, a package or its weights.
        """
        model_name = name or self.model
        self.chat(model_name, adapter=adapter)
        if model_name.startswith(LOCAL):
            self.local_models.folder(model_name.removeprefix(LOCAL))
        return model_name

    def count_tokens(self, model: str) -> Callable[[str], int]:
        """Return the function that counts tokens as a model does; the first call blocks."""
        return counter(model, self.local_models)

    def context_length(self, model: str) -> int | None:
        """Return how many tokens a model's context has; None if it is unknown."""
        return context_length(model, self.local_models)

    @property
    def adapters(self) -> Adapters:
        """The registry of LoRA adapters."""
        return Adapters(self.local_models)

    @property
    def jobs(self) -> Path:
        """The folder of the training jobs."""
        return self.data / "jobs"

    def launcher(self, root: Path | None = None, *, in_turn: bool = True) -> Launcher:
        """Return the launcher of training jobs.

        Args:
            root: the folder of the jobs; by default, the workspace's.
            in_turn: whether the jobs train one after the other.
        """
        spawn = self._spawn or Processes(self._variables)
        return LocalLauncher(root or self.jobs, self.adapters, spawn, in_turn=in_turn)

    def rounds(self, tenant: str, environment: str, base: str) -> Rounds:
        """Return the rounds of training of a tenant's local model in an environment."""
        return Rounds(self.data, tenant, environment, base)

    @property
    def bench(self) -> Workbench:
        """The workbench of a trainer in this process."""
        return Workbench(
            self.models, self.environments, self.data, self.settings.judge, self.episodes
        )

    def exemplar_set(self, name: str) -> ExemplarSet:
        """Return a fixed set of exemplars; blocks while it reads the file.

        Raises:
            UnknownName: there is no such set.
        """
        return ExemplarSet.load(name, self.settings.exemplars or self.data / "exemplars")

    async def close(self) -> None:
        """Close the experience memories; the next use opens them again."""
        if "experiences" in vars(self):  # nothing is read just to be closed
            await self.experiences.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _embedder(self) -> Embedder:
        if isinstance(self._embeddings, Embeddings):
            return Embedder(type(self._embeddings).__name__.lower(), self._embeddings)
        name = self._embeddings or self.settings.embeddings or self._unnamed_embeddings()
        if name == NONE:
            return Embedder(NONE, NoEmbeddings())
        return Embedder(name, self.models.embeddings(name))

    def _unnamed_embeddings(self) -> str:
        """Return the embeddings that the memory was made with, else those that are installed."""
        if stored := self.experiences.stored_embeddings():
            return stored
        return f"local:{minilm.NAME}" if minilm.is_installed() else NONE

    def _variables(self) -> Mapping[str, str]:
        """Return the variables of a training job: this workspace's settings and folders."""
        return self.settings.for_process(data=self.data, adapters=self.local_models.adapters)


_default: Workspace | None = None
_default_lock: Final = threading.Lock()


def default() -> Workspace:
    """Return the workspace of this process, which the served graphs use."""
    global _default
    with _default_lock:
        if _default is None:
            _default = Workspace()
        return _default


@asynccontextmanager
async def store() -> AsyncIterator[BaseStore]:
    """Open the default workspace's store, for a server."""
    async with default().store() as sqlite_store:
        yield sqlite_store


def name_of(model: BaseChatModel) -> str:
    """Return the name under which a chat model is recorded: its own, or its type's."""
    for attribute in ("model_name", "model"):
        if isinstance(name := getattr(model, attribute, None), str) and name:
            return name
    return str(model._llm_type)
