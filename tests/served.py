"""The models that ship, and others in folders, for tests that need no workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from apprentice.models import Models
from apprentice.models.names import LocalModels

NOWHERE: Final = Path("/nowhere")


def served(root: Path | None = None, adapters: Path = NOWHERE, *, keys: bool = False) -> Models:
    """Return models: those of a folder and its adapters, and hosted ones with or without keys."""
    return Models(LocalModels(root, adapters), lambda _: keys)


SHIPPED: Final = served()
