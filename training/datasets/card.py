"""A dataset's folder and its card: what is in it, where it came from, what was left out.

    data.jsonl   what is trained on
    valid.jsonl  the held-out split, other tasks
    card.json    this

The folder is named by what it holds, so the same data is the same folder.
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
from apprentice.state.nouns import SCHEMA_VERSION, Noun, digest
from apprentice.training.datasets.rows import Kind, Row, check, written

DATA: Final = "data.jsonl"
VALID: Final = "valid.jsonl"
CARD: Final = "card.json"
NAME_LENGTH: Final = 16


class Card(Noun):
    """What a dataset is.

    Attributes:
        fingerprint: hash of data.jsonl.
        valid_fingerprint: hash of valid.jsonl.
        files: hashes of the files that the rows refer to, by name.
        counts: rows, valid_rows, tasks, valid_tasks.
        balance: rows to train on, by family of task.
        filters: how many examples were left out, by reason.
        settings: how it was curated.
        sources: ids of the trajectories, or names of the files, that it rests on.
        environments: where the examples come from.
        oldest: when the oldest example was made, in Unix time; None when nobody knows.
        newest: when the newest was.
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
    """One row, and what curating has to know about it.

    Attributes:
        row: as it will be written.
        task: what it is an example of; a task's rows lie on one side of the split.
        opening: what the task says; two tasks that say the same are one.
        environment: where the task is, if in any.
        family: the type of task, for the card's balance.
        sources: ids of the trajectories, or names of the files, that it comes from.
        at: when it was made, in Unix time.
        rank: the lower, the sooner it is kept when a task has too many.
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
class Curated:
    """Examples that will be a dataset, and the account of those that will not.

    `files` are copied along, each under its name in the rows.
    """

    kind: Kind
    train: tuple[Example, ...]
    valid: tuple[Example, ...]
    filters: dict[str, int]
    settings: dict[str, Any]
    files: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """A dataset's folder, and its card."""

    folder: Path
    card: Card

    def rows(self) -> list[Row]:
        """Read what is trained on."""
        return check(self.card.kind, self.folder / DATA)

    def valid(self) -> list[Row]:
        """Read the held-out split."""
        return check(self.card.kind, self.folder / VALID)


def fingerprint(path: Path) -> str:
    """Hash a file's bytes to 32 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def made_folder(path: Path) -> Path:
    """Make a folder where there is none, and return it.

    Raises:
        BadInput: there can be none.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"The folder {path} cannot be made: {error.strerror}. Name another one."
        ) from error
    return path


def save(curated: Curated, root: Path) -> Dataset:
    """Write a dataset into its folder under `root`; what is there already is left as it is.

    Raises:
        BadInput: there can be no such folder.
    """
    part = made_folder(root / f".{uuid4().hex}.part")
    try:
        (part / DATA).write_text(written([example.row for example in curated.train]), "utf-8")
        (part / VALID).write_text(written([example.row for example in curated.valid]), "utf-8")
        for name, file in curated.files.items():
            shutil.copyfile(file, part / name)
        card = _card(curated, part)
        (part / CARD).write_text(card.model_dump_json(indent=2) + "\n", "utf-8")
        splits = [card.fingerprint, card.valid_fingerprint]
        named = digest(*splits, *card.files.values())[:NAME_LENGTH]
        folder = root / f"{curated.kind}-{named}"
        try:
            os.rename(part, folder)  # whole or not at all; two that save at once save one
        except OSError:
            if not (folder / CARD).is_file():
                raise
        return load(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def load(folder: Path) -> Dataset:
    """Open a dataset and compare it with its card.

    Raises:
        MissingPart: the folder holds no dataset.
        BrokenData: the card cannot be read, or the data is not what it describes.
    """
    path = folder / CARD
    if not path.is_file():
        raise MissingPart(f"{folder} holds no dataset: {CARD} is missing.")
    try:
        card = Card.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise BrokenData(f"The card {path} cannot be read: {error}.") from error
    described = {DATA: card.fingerprint, VALID: card.valid_fingerprint, **card.files}
    for name, expected in described.items():
        if not (folder / name).is_file():
            raise MissingPart(f"The dataset {folder} is not whole: {name} is missing.")
        found = fingerprint(folder / name)
        if found != expected:
            raise BrokenData(
                f"{folder / name} is not what its card describes: its fingerprint is "
                f"{found[:NAME_LENGTH]}…, the card's {expected[:NAME_LENGTH]}…. Curate it anew."
            )
    return Dataset(folder, card)


def _card(curated: Curated, folder: Path) -> Card:
    train, valid = curated.train, curated.valid
    times = [example.at for example in (*train, *valid) if example.at is not None]
    return Card(
        kind=curated.kind,
        fingerprint=fingerprint(folder / DATA),
        valid_fingerprint=fingerprint(folder / VALID),
        files={name: fingerprint(folder / name) for name in sorted(curated.files)},
        counts={
            "rows": len(train),
            "valid_rows": len(valid),
            "tasks": len({example.task for example in train}),
            "valid_tasks": len({example.task for example in valid}),
        },
        balance=dict(sorted(Counter(example.family for example in train).items())),
        filters=curated.filters,
        settings=curated.settings,
        sources=tuple(sorted({name for one in (*train, *valid) for name in one.sources})),
        environments=tuple(sorted({one.environment for one in train if one.environment})),
        oldest=min(times, default=None),
        newest=max(times, default=None),
    )
