"""Save a memory to one file and restore it, while no process has it open."""

from __future__ import annotations

import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from apprentice.memory.experience.folder import (
    HALF_MADE,
    MARK,
    SHARD,
    layout_of,
    release_lock,
    replace,
    take_lock,
)
from apprentice.memory.experience.layout import Layout
from apprentice.state.errors import BadInput, BrokenData, MissingPart


def save(folder: Path, file: Path) -> None:
    """Write the memory in a folder, with all tenants, to a new file; blocking.

    Raises:
        BadInput: the file exists or cannot be written.
        MissingPart: there is no memory, or another process has it open.
        BrokenData: the folder holds no memory.
    """
    none = MissingPart(f"There is no experience memory in {folder}. Record or import attempts.")
    if not folder.is_dir():
        raise none
    if file.exists():
        raise BadInput(f"{file} exists already. Name a new file for the snapshot.")
    half_made = file.with_name(f"{file.name}.half-made")
    with _lock(folder):  # this also undoes a restore that was killed
        if not (folder / SHARD).exists():
            raise none
        layout_of(folder / SHARD)
        try:
            with tarfile.open(half_made, "w:gz", compresslevel=1) as archive:
                archive.add(folder / SHARD, SHARD)
            half_made.rename(file)
        except OSError as error:
            raise BadInput(f"{file} cannot be written ({error.strerror}). Name another.") from error
        finally:
            with suppress(FileNotFoundError, NotADirectoryError):
                half_made.unlink()


def restore(file: Path, folder: Path, *, over: bool = False) -> None:
    """Restore a snapshot into a folder; blocking. A failure leaves the folder unchanged.

    Args:
        file: the snapshot.
        folder: the folder of the memory.
        over: whether to replace a memory that is there.

    Raises:
        BadInput: the file is no snapshot, or there is a memory and `over` is false.
        MissingPart: another process has the memory open.
        BrokenData: the snapshot is damaged or has another schema, or the folder holds no memory.
    """
    if not file.is_file():
        raise BadInput(
            f"There is no snapshot {file}. `apprentice memory snapshot FILE` writes one."
        )
    with _lock(folder):
        if (folder / SHARD).exists() and not over:
            raise BadInput(
                f"There is an experience memory in {folder}. Restore with --replace to lose it, or "
                "set APPRENTICE_DATA to another folder."
            )
        half_made = folder / HALF_MADE
        shutil.rmtree(half_made, ignore_errors=True)
        try:
            _unpack(file, half_made)
            replace(folder, half_made / SHARD)
        finally:
            shutil.rmtree(half_made, ignore_errors=True)


def _unpack(file: Path, folder: Path) -> None:
    try:
        with tarfile.open(file) as archive:
            archive.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise BrokenData(
            f"The snapshot {file} cannot be read ({error}). Nothing was changed. Take another one."
        ) from error
    mark = folder / SHARD / MARK
    if not mark.is_file():
        raise BadInput(f"{file} is no snapshot of an experience memory. Nothing was changed.")
    Layout.read(mark.read_text(), f"The snapshot {file}")


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    lock = take_lock(folder)
    try:
        yield
    finally:
        release_lock(folder, lock)
