"""A dataset's folder and its card: its contents, its sources, and what was left out.

    data.jsonl   the rows to train on
    valid.jsonl  the held-out split, with other tasks
    card.json    the card

The folder's name contains a hash of its contents, so the same data always has the same folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from pydantic import Field, ValidationError

from apprentice.state.errors import BadInput, BrokenData, MissingPart
from apprentice.state.trajectory import SCHEMA_VERSION, FrozenModel, digest
from apprentice.training.datasets.rows import Kind, Row, check, to_jsonl

DATA: Final = "data.jsonl"
VALID: Final = "valid.jsonl"
CARD: Final = "card.json"
NAME_LENGTH: Final = 16


class Card(FrozenModel):
    """The description of a dataset.

    Attributes:
        kind: the training method that the rows are for.
        fingerprint: hash of data.jsonl.
        valid_fingerprint: hash of valid.jsonl.
        files: hashes of the files that the rows refer to, by name.
        counts: rows, valid_rows, tasks, valid_tasks.
        balance: number of rows to train on, by family of task.
        filters: number of examples that were left out, by reason.
        settings: the settings of the curation.
        sources: ids of the trajectories, or names of the files, that the rows come from.
        environments: the environments that the examples come from.
        oldest: when the oldest example was made, in Unix time; None if unknown.
        newest: when the newest example was made, in Unix time; None if unknown.
    """

    schema_version: int = SCHEMA_VERSION
    kind: Kind
    fingerprint: str
    valid_fingerprint: str
    files: dict[str, str] = Field(default_factory=dict)
    counts: dict[str, int]
    balance: dict[str, int] = Field(default_factory=dict)
    filters: dict[str, int] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    sources: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    oldest: float | None = None
    newest: float | None = None


@dataclass(frozen=True)
class Example:
    """One row, and what the curation needs to know about it.

    Attributes:
        row: the row as it will be written.
        task: the key of its task; all rows of a task are on the same side of the split.
        opening: the text of the task; tasks with the same text count as one.
        environment: the environment of the task; '' if it has none.
        family: the type of task, for the card's balance.
        sources: ids of the trajectories, or names of the files, that the row comes from.
        at: when the example was made, in Unix time; None if unknown.
        rank: if a task has too many examples, those with the lowest rank stay.
    """

    row: Row
    task: str
    opening: str = ""
    environment: str = ""
    family: str = ""
    sources: tuple[str, ...] = ()
    at: float | None = None
    rank: float = 0.0


@dataclass(frozen=True)
class Selection:
    """The examples that a dataset will contain, and the counts of those that were left out.

    Attributes:
        kind: the training method that the rows are for.
        train: the examples to train on.
        valid: the examples of the held-out split.
        filters: number of examples that were left out, by reason.
        settings: the settings of the curation.
        files: the files to copy into the dataset's folder, by their name in the rows.
    """

    kind: Kind
    train: tuple[Example, ...]
    valid: tuple[Example, ...]
    filters: dict[str, int]
    settings: dict[str, Any]
    files: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """A dataset on disk: its folder and its card."""

    folder: Path
    card: Card

    def rows(self) -> list[Row]:
        """Read the rows to train on."""
        return check(self.card.kind, self.folder / DATA)

    def valid(self) -> list[Row]:
        """Read the rows of the held-out split."""
        return check(self.card.kind, self.folder / VALID)


def fingerprint(path: Path) -> str:
    """Return the hash of a file's bytes, 32 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def make_folder(path: Path) -> Path:
    """Create a folder unless it exists, and return its path.

    Raises:
        BadInput: the folder cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"The folder {path} cannot be made: {error.strerror}. Choose another folder."
        ) from error
    return path


def save(selection: Selection, root: Path) -> Dataset:
    """Write a dataset into its folder under `root`; an existing folder stays as it is.

    Raises:
        BadInput: the folder cannot be created.
    """
    part = make_folder(root / f".{uuid4().hex}.part")
    try:
        (part / DATA).write_text(to_jsonl([example.row for example in selection.train]), "utf-8")
        (part / VALID).write_text(to_jsonl([example.row for example in selection.valid]), "utf-8")
        for name, file in selection.files.items():
            shutil.copyfile(file, part / name)
        card = _card(selection, part)
        (part / CARD).write_text(card.model_dump_json(indent=2) + "\n", "utf-8")
        splits = [card.fingerprint, card.valid_fingerprint]
        content_hash = digest(*splits, *card.files.values())[:NAME_LENGTH]
        folder = root / f"{selection.kind}-{content_hash}"
        try:
            os.rename(part, folder)  # atomic: of two processes that save the same data, one wins
        except OSError:
            if not (folder / CARD).is_file():
                raise
        return load(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def load(folder: Path) -> Dataset:
    """Open a dataset and check its files against the fingerprints in its card.

    Raises:
        MissingPart: the folder contains no dataset, or a file is missing.
        BrokenData: the card cannot be read, or a file differs from its fingerprint.
    """
    path = folder / CARD
    if not path.is_file():
        raise MissingPart(f"The folder {folder} contains no dataset: {CARD} is missing.")
    try:
        card = Card.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise BrokenData(f"The card {path} cannot be read: {error}.") from error
    fingerprints = {DATA: card.fingerprint, VALID: card.valid_fingerprint, **card.files}
    for name, card_value in fingerprints.items():
        if not (folder / name).is_file():
            raise MissingPart(f"The dataset {folder} is incomplete: {name} is missing.")
        file_value = fingerprint(folder / name)
        if file_value != card_value:
            raise BrokenData(
                f"{folder / name} does not match its card: its fingerprint is "
                f"{file_value[:NAME_LENGTH]}…, but the card says {card_value[:NAME_LENGTH]}…. "
                "Make the dataset again."
            )
    return Dataset(folder, card)


def _card(selection: Selection, folder: Path) -> Card:
    train, valid = selection.train, selection.valid
    times = [example.at for example in (*train, *valid) if example.at is not None]
    return Card(
        kind=selection.kind,
        fingerprint=fingerprint(folder / DATA),
        valid_fingerprint=fingerprint(folder / VALID),
        files={name: fingerprint(folder / name) for name in sorted(selection.files)},
        counts={
            "rows": len(train),
            "valid_rows": len(valid),
            "tasks": len({example.task for example in train}),
            "valid_tasks": len({example.task for example in valid}),
        },
        balance=dict(sorted(Counter(example.family for example in train).items())),
        filters=selection.filters,
        settings=selection.settings,
        sources=tuple(sorted({name for one in (*train, *valid) for name in one.sources})),
        environments=tuple(sorted({one.environment for one in train if one.environment})),
        oldest=min(times, default=None),
        newest=max(times, default=None),
    )
