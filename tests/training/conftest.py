"""A workplace for training: tiny bases, a registry and jobs of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.language_models import BaseChatModel

from apprentice.models.engine import close_all
from apprentice.models.names import LocalModels
from apprentice.settings import Settings
from apprentice.training.adapters import Adapters
from apprentice.training.jobs import LocalLauncher, Processes, Spawn, Status, look
from apprentice.training.run import carry_out
from apprentice.training.workbench import Workbench
from apprentice.workspace import Workspace
from benchmarks import shape_images
from tests.models import tiny as tiny_models
from tests.training import tiny


@dataclass(frozen=True)
class Workplace:
    """Where a test trains: `root` is its own, `models` are shared."""

    root: Path
    models: Path

    @property
    def jobs(self) -> Path:
        """Return the folder of the jobs."""
        return self.root / "jobs"

    @property
    def workspace(self) -> Workspace:
        """Return the workspace whose data is here."""
        settings = Settings(local_models=self.models, device="cpu", threads="1", qdrant_url="")
        return Workspace(self.root, settings=settings)

    @property
    def bench(self) -> Workbench:
        """Return what a trainer works with here."""
        return self.workspace.bench

    @property
    def adapters(self) -> Adapters:
        """Return the registry."""
        return self.workspace.adapters

    @property
    def local(self) -> LocalModels:
        """Return the local models."""
        return self.workspace.local_models

    def chat(self, name: str, **settings: Any) -> BaseChatModel:
        """Return a chat model."""
        return self.workspace.chat(name, **settings)

    def look(self, folder: Path) -> Status:
        """Say what the job in a folder is at."""
        return look(folder, self.adapters)

    def carry_out(self, folder: Path, *, in_turn: bool = False) -> int:
        """Carry out the job in a folder, in this process."""
        return carry_out(folder, self.bench, in_turn=in_turn)

    def launcher(self, spawn: Spawn | None = None) -> LocalLauncher:
        """Return what starts jobs here, each at once."""
        settings = self.workspace.settings
        variables = settings.for_process(data=self.root)
        start = spawn or Processes(lambda: variables)
        return LocalLauncher(self.jobs, self.adapters, start)


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the bases once: llama, phi and eyes."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("bases")
    tiny_models.llama(folder / "llama", max_position_embeddings=2048)
    tiny.phi3(folder / "phi")
    shape_images.eyes(folder / "eyes")
    return folder


@pytest.fixture
def workplace(bases: Path, tmp_path: Path) -> Iterator[Workplace]:
    """Offer the bases, and an empty registry."""
    yield Workplace(tmp_path, bases)
    close_all()
