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
    _drafted(file, text).replace(file)


def write_once(file: Path, text: str) -> None:
    """Write a file whole, unless it is there: the first one stays."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = _drafted(file, text)
    with suppress(FileExistsError):
        os.link(draft, file)
    draft.unlink()


def _drafted(file: Path, text: str) -> Path:
    """Write a text beside a file, through to the disk: a name never stands for half of it."""
    draft = draft_of(file)
    with draft.open("w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    return draft
