"""The resources of a trainer: models, adapters, environments, folders and the judge."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from apprentice.environments.advance import Episodes
from apprentice.environments.registry import Environments
from apprentice.models import Models
from apprentice.models.names import LocalModels
from apprentice.settings import Settings
from apprentice.training.adapters import Adapters


@dataclass(frozen=True)
class Workbench:
    """The resources of a trainer.

    Attributes:
        models: the chat models; the local ones can be trained.
        environments: the environments for attempts in reinforcement learning.
        data: the folder of the deployment's data.
        judge: name of the model that grades answers; '' for none.
        episodes: the attempts in progress.
    """

    models: Models
    environments: Environments
    data: Path
    judge: str = ""
    episodes: Episodes = field(default_factory=Episodes)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the workbench of a deployment."""
        return cls(
            Models.of(settings, settings.data),
            Environments(settings.tasks, settings.alfworld),
            settings.data,
            settings.judge,
        )

    @property
    def local(self) -> LocalModels:
        """The local models and the folder of their adapters."""
        return self.models.local

    @property
    def adapters(self) -> Adapters:
        """The registry of adapters."""
        return Adapters(self.local)

    @property
    def jobs(self) -> Path:
        """The folder of the jobs."""
        return self.data / "jobs"

    @property
    def grading_folder(self) -> Path:
        """The folder with the answers that people grade."""
        return self.data / "grading"
