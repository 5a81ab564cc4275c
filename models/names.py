"""From the plain names that callers may use to the folders that the server has chosen for them.

`local:novice` and `local:clerk` are shipped. The server's own settings name two folders whose
sub-folders are what callers may ask for: APPRENTICE_LOCAL_MODELS (Hugging Face models) and
APPRENTICE_ADAPTERS (LoRA adapters; by default `adapters` under APPRENTICE_DATA).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from apprentice.state.errors import BadInput, MissingPart, UnknownName
from apprentice.state.nouns import digest

NOVICE: Final = "novice"
CLERK: Final = "clerk"
SHIPPED: Final = (NOVICE, CLERK)
_HERE: Final = Path(__file__).parent
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


def plain(what: str, name: str) -> str:
    """Return a name that cannot be read as a path, or raise BadInput."""
    if not _PLAIN.fullmatch(name):
        raise BadInput(
            f"{name[:80]!r} is no {what} name: use letters, digits, '.', '_' and '-', "
            "at most 80 of them, beginning with a letter or digit."
        )
    return name


def model_folder(name: str) -> Path:
    """Return the folder of a local model's weights.

    Raises:
        UnknownName: no such model is offered here.
        MissingPart: a shipped model's weights are not where they belong.
    """
    if name in SHIPPED:
        folder = _HERE / name / "weights"
        if not (folder / "config.json").is_file():
            raise MissingPart(
                f"The weights of local:{name} are missing from models/{name}/weights. "
                f"Train them with `make {name}`, or install a release that contains them."
            )
        return folder
    offered = _folders(os.environ.get("APPRENTICE_LOCAL_MODELS", ""), "config.json")
    if name not in offered:
        raise UnknownName("local model", name, [*SHIPPED, *offered])
    return offered[name]


def adapters_root() -> Path:
    """Return the folder whose sub-folders are the adapters."""
    data = os.environ.get("APPRENTICE_DATA", "apprentice-data")
    return Path(os.environ.get("APPRENTICE_ADAPTERS", "") or Path(data) / "adapters")


def adapter_folder(name: str) -> Path:
    """Return the folder of an adapter, or raise UnknownName."""
    offered = _folders(str(adapters_root()), "adapter_config.json")
    if name not in offered:
        raise UnknownName("adapter", name, offered)
    return offered[name]


def fingerprint(name: str, adapter: str = "") -> str:
    """Identify a local model's files, and its adapter's, by their sizes and times of writing.

    Raises:
        UnknownName: no such model or adapter is offered here.
        MissingPart: a shipped model's weights are not where they belong.
    """
    folders = [model_folder(name), *([adapter_folder(adapter)] if adapter else [])]
    files = [file for folder in folders for file in sorted(folder.iterdir()) if file.is_file()]
    found = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return digest(found)


def _folders(root: str, marker: str) -> dict[str, Path]:
    """Return the sub-folders that hold a marker file, by name."""
    if not root or not Path(root).is_dir():
        return {}
    return {path.parent.name: path.parent for path in sorted(Path(root).glob(f"*/{marker}"))}
