"""The folder of a memory in this process, and its lock.

shard             the engine's files, and their layout: experience.json
shard-half-made   a new shard before it is complete
shard-replaced    the previous shard, while a snapshot replaces it
lock, holder      SQLite's lock for one process; it is released when its holder dies
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
    """Take a folder's lock, and create the folder if it is missing; blocking.

    Raises:
        BrokenData: the folder holds files that belong to no memory.
        MissingPart: another process has the folder open.
    """
    _refuse_foreign(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # Any thread may open and close the memory, but never two at the same time.
    lock = sqlite3.connect(folder / _LOCK, isolation_level=None, timeout=0, check_same_thread=False)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        lock.close()
        holder = "another process"
        with suppress(OSError):
            holder = (folder / _HOLDER).read_text().strip() or holder
        raise MissingPart(
            f"The experience memory {folder} is held by {holder}. Only one process at a time can "
            "use it. Stop that process, set APPRENTICE_DATA to another folder, or share a Qdrant "
            "server between processes with QDRANT_URL."
        ) from error
    (folder / _HOLDER).write_text(f"process {os.getpid()}\n")
    _finish_replacing(folder)
    return lock


def release_lock(folder: Path, lock: sqlite3.Connection) -> None:
    """Release a folder's lock, so that other processes can open it."""
    (folder / _HOLDER).unlink(missing_ok=True)
    lock.close()


def replace(folder: Path, shard: Path) -> None:
    """Replace the folder's shard. The caller holds the lock."""
    own, before = folder / SHARD, folder / REPLACED
    if own.exists():
        own.rename(before)
    shard.rename(own)
    _finish_replacing(folder)


def layout_of(shard: Path) -> Layout:
    """Read the layout of a shard.

    Raises:
        BrokenData: the shard has no layout file, or its content is unknown.
    """
    try:
        text = (shard / MARK).read_text()
    except FileNotFoundError as error:
        raise BrokenData(
            f"{shard} is no part of an experience memory: it lacks {MARK}. Restore it from a "
            "backup, or move it away and start again."
        ) from error
    return Layout.read(text, f"The experience memory {shard.parent}")


def _finish_replacing(folder: Path) -> None:
    """Delete the previous shard, or put it back if the replacement was interrupted."""
    own, before = folder / SHARD, folder / REPLACED
    if before.exists() and not own.exists():
        before.rename(own)
    shutil.rmtree(before, ignore_errors=True)


def _refuse_foreign(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if foreign := sorted(names - _KNOWN):
        raise BrokenData(
            f"The folder {folder} holds {foreign[0]!r}, which belongs to no experience memory. Set "
            "APPRENTICE_DATA to another folder, or move that file away."
        )
