"""A workplace for training: tiny bases, a registry and jobs of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from apprentice.models.engine import close_all
from benchmarks import shapes
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


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the bases once: llama, phi and eyes."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("bases")
    tiny_models.llama(folder / "llama", max_position_embeddings=2048)
    tiny.phi3(folder / "phi")
    shapes.eyes(folder / "eyes")
    return folder


@pytest.fixture
def workplace(bases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    """Offer the bases, and an empty registry."""
    monkeypatch.setenv("APPRENTICE_LOCAL_MODELS", str(bases))
    monkeypatch.setenv("APPRENTICE_DATA", str(tmp_path))
    monkeypatch.delenv("APPRENTICE_ADAPTERS", raising=False)
    monkeypatch.setenv("APPRENTICE_DEVICE", "cpu")
    yield Workplace(tmp_path, bases)
    close_all()
