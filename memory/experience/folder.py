"""The folder that a memory in this process lives in, and whoever has it open.

shard             the engine's files, and how they are laid out: experience.json
shard-half-made   a shard on its way to being one, whole or not at all
shard-replaced    the one before, while a snapshot takes its place
lock, holder      one process at a time; the lock is SQLite's, so it is let go when its holder dies
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

from apprentice.memory.experience.layout import Layout
from apprentice.state.errors import BrokenData, MissingPart

SHARD: Final = "shard"
HALF_MADE: Final = "shard-half-made"
REPLACED: Final = "shard-replaced"
MARK: Final = "experience.json"
_LOCK: Final = "lock"
_HOLDER: Final = "holder"
_KNOWN: Final = {SHARD, HALF_MADE, REPLACED, _LOCK, f"{_LOCK}-journal", _HOLDER}


def take_lock(folder: Path) -> sqlite3.Connection:
    """Take a folder's lock, and make the folder if there is none; blocks on files.

    Raises:
        BrokenData: it holds what no memory has.
        MissingPart: another process has it open.
    """
    _refuse_foreign(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # Used from whichever thread opens and closes the memory, never from two at once.
    lock = sqlite3.connect(folder / _LOCK, isolation_level=None, timeout=0, check_same_thread=False)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        lock.close()
        holder = "another process"
        with suppress(OSError):
            holder = (folder / _HOLDER).read_text().strip() or holder
        raise MissingPart(
            f"The experience memory {folder} is held by {holder}, and one process at a time can. "
            "Stop that one, set APPRENTICE_DATA to another folder, or share a Qdrant server "
            "between processes with QDRANT_URL."
        ) from error
    (folder / _HOLDER).write_text(f"process {os.getpid()}\n")
    _finish_replacing(folder)
    return lock


def release_lock(folder: Path, lock: sqlite3.Connection) -> None:
    """Let others open a folder."""
    (folder / _HOLDER).unlink(missing_ok=True)
    lock.close()


def replace(folder: Path, shard: Path) -> None:
    """Put a shard in the place of the folder's own, if it has one; its lock is held."""
    own, before = folder / SHARD, folder / REPLACED
    if own.exists():
        own.rename(before)
    shard.rename(own)
    _finish_replacing(folder)


def layout_of(shard: Path) -> Layout:
    """Read how a shard is laid out.

    Raises:
        BrokenData: it does not say so, or in a way that is not known.
    """
    try:
        text = (shard / MARK).read_text()
    except FileNotFoundError as error:
        raise BrokenData(
            f"{shard} is no part of an experience memory: it lacks {MARK}. Restore it from a "
            "backup, or move it away to begin anew."
        ) from error
    return Layout.read(text, f"The experience memory {shard.parent}")


def _finish_replacing(folder: Path) -> None:
    """Forget the shard before, or return to it where the process died in between."""
    own, before = folder / SHARD, folder / REPLACED
    if before.exists() and not own.exists():
        before.rename(own)
    shutil.rmtree(before, ignore_errors=True)


def _refuse_foreign(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if foreign := sorted(names - _KNOWN):
        raise BrokenData(
            f"The folder {folder} holds {foreign[0]!r}, which no experience memory has. Set "
            "APPRENTICE_DATA to another folder, or move that away."
        )
