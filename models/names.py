"""Map the plain names of local models and adapters to folders.

`local:novice` and `local:clerk` are shipped. A workspace has two more folders: one with Hugging
Face models and one with LoRA adapters. Callers may name their sub-folders.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from apprentice.state.errors import BadInput, MissingPart, UnknownName
from apprentice.state.trajectory import digest

NOVICE: Final = "novice"
CLERK: Final = "clerk"
SHIPPED: Final = (NOVICE, CLERK)
SHIPPED_IN: Final = Path(__file__).parent
ADAPTER_CONFIG: Final = "adapter_config.json"
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


def plain(what: str, name: str) -> str:
    """Return the name if it cannot be a path, or raise BadInput."""
    if not _PLAIN.fullmatch(name):
        raise BadInput(
            f"{name[:80]!r} is no {what} name. Use at most 80 letters, digits, '.', '_' and '-', "
            "and begin with a letter or digit."
        )
    return name


@dataclass(frozen=True)
class EngineLimits:
    """The size of a batch of the inference engine.

    Attributes:
        conversations: the largest number of conversations that are active at the same time.
        step_tokens: the largest number of tokens that one step reads.
    """

    conversations: int = 64
    step_tokens: int = 2048


@dataclass(frozen=True)
class LocalModels:
    """The local models and adapters of one workspace.

    Attributes:
        root: the folder whose sub-folders are Hugging Face models, or None.
        adapters: the folder whose sub-folders are LoRA adapters.
        device: the models' device, as torch names it. '' is the CPU, and in training the first GPU.
        shipped_root: the folder of the models that ship.
        limits: the size of the batches in which a model answers.
    """

    root: Path | None
    adapters: Path
    device: str = ""
    shipped_root: Path = SHIPPED_IN
    limits: EngineLimits = EngineLimits()

    def folder(self, name: str) -> Path:
        """Return the folder of a local model's weights.

        Raises:
            UnknownName: the workspace has no such model.
            MissingPart: the weights of a shipped model are missing.
        """
        folder = self.place(name)
        if (folder / "config.json").is_file():
            return folder
        if name in SHIPPED:
            raise MissingPart(
                f"The weights of local:{name} are missing from models/{name}/weights. "
                f"Train them with `make {name}`, or install a release that contains them."
            )
        raise UnknownName("local model", name, [*SHIPPED, *_folders(self.root, "config.json")])

    def place(self, name: str) -> Path:
        """Return the path of a local model's weights, without a look at the disk."""
        if name in SHIPPED or self.root is None:
            return self.shipped_root / name / "weights"
        return self.root.absolute() / plain("local model", name)

    def adapter(self, name: str) -> Path:
        """Return the folder of an adapter, or raise UnknownName."""
        return check_adapter(self.adapters / plain("adapter", name))

    def fingerprint(self, name: str, adapter: str = "") -> str:
        """Hash the sizes and modification times of a local model's files and its adapter's.

        Raises:
            UnknownName: the workspace has no such model or adapter.
            MissingPart: the weights of a shipped model are missing.
        """
        folders = [self.folder(name), *([self.adapter(adapter)] if adapter else [])]
        files = [file for folder in folders for file in sorted(folder.iterdir()) if file.is_file()]
        return digest([(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files])


def check_adapter(folder: Path) -> Path:
    """Return an adapter's folder, or raise UnknownName with the names of the others."""
    if not (folder / ADAPTER_CONFIG).is_file():
        raise UnknownName("adapter", folder.name, _folders(folder.parent, ADAPTER_CONFIG))
    return folder


def _folders(root: Path | None, marker: str) -> list[str]:
    """Return the names of the sub-folders that hold a marker file."""
    return sorted(path.parent.name for path in root.glob(f"*/{marker}")) if root else []
