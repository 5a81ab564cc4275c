"""Files that are whole or not there, however many write at once, threads of one server too."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4


def draft_of(path: Path) -> Path:
    """Return a name beside a file or folder that no other writer has."""
    return path.with_name(f".{uuid4().hex}.part")


def write_over(file: Path, text: str) -> None:
    """Write a file whole, over what was there before: the last one stays."""
    draft = draft_of(file)
    draft.write_text(text, "utf-8")
    draft.replace(file)


def write_once(file: Path, text: str) -> None:
    """Write a file whole, unless it is there: the first one stays."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_of(file)
    draft.write_text(text, "utf-8")
    with suppress(FileExistsError):
        os.link(draft, file)
    draft.unlink()
