"""Write files atomically: a reader sees a complete file or none, with any number of writers."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4


def draft_of(path: Path) -> Path:
    """Return a unique temporary path in the same folder as a file or folder."""
    return path.with_name(f".{uuid4().hex}.part")


def write_over(file: Path, text: str) -> None:
    """Write a file atomically and replace an existing one; the last writer wins."""
    _write_draft(file, text).replace(file)


def write_once(file: Path, text: str) -> None:
    """Write a file atomically unless it exists; the first writer wins."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = _write_draft(file, text)
    with suppress(FileExistsError):
        os.link(draft, file)
    draft.unlink()


def _write_draft(file: Path, text: str) -> Path:
    """Write a text to a temporary file and sync it to disk, so that it can be renamed safely."""
    draft = draft_of(file)
    with draft.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    return draft
