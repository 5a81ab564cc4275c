"""A dataset on disk, as the trainers read it.

A dataset is a folder: `data.jsonl` (a JSON row a line), `valid.jsonl` (rows of held-out tasks;
may be missing) and `card.json`, which names the kind of rows and the fingerprint of `data.jsonl`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from state.errors import BrokenData, MissingPart

DATA: Final = "data.jsonl"
VALID: Final = "valid.jsonl"
CARD: Final = "card.json"
_COLUMNS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "sft": (("messages",),),
    "dpo": (("prompt", "chosen", "rejected"),),
    "grpo": (("environment", "task"), ("prompt",)),
    "vision": (("messages", "image"),),
}

Row = dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """What a dataset holds.

    Attributes:
        folder: where it lies; images are relative to it.
        card: what is known of it.
        fingerprint: the hash of its rows, as its card and its job name it.
    """

    folder: Path
    card: dict[str, Any]
    fingerprint: str
    train: list[Row]
    valid: list[Row]


def fingerprint(file: Path) -> str:
    """Hash a file's bytes to 32 hexadecimal digits."""
    hashed = hashlib.blake2b(digest_size=16)
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            hashed.update(block)
    return hashed.hexdigest()


def read_card(folder: Path) -> dict[str, Any]:
    """Return a dataset's card.

    Raises:
        MissingPart: there is no dataset in the folder.
        BrokenData: the card cannot be read.
    """
    for name in (DATA, CARD):
        if not (folder / name).is_file():
            raise MissingPart(f"{folder} is no dataset: it has no {name}. Curate it first.")
    try:
        card = json.loads((folder / CARD).read_text())
    except ValueError as error:
        raise BrokenData(
            f"{folder / CARD} is no JSON ({error}). Curate the dataset anew."
        ) from None
    if not isinstance(card, dict) or not isinstance(card.get("fingerprint"), str):
        raise BrokenData(f"{folder / CARD} names no fingerprint. Curate the dataset anew.")
    return card


def read_rows(folder: Path, kind: str, expected: str = "") -> Rows:
    """Read a dataset for a method.

    Args:
        folder: the dataset's folder.
        kind: the method: sft, dpo, grpo or vision.
        expected: the fingerprint that the job was started with, if any.

    Raises:
        MissingPart: there is no dataset, or it has no rows.
        BrokenData: it was changed after it was curated, or is of another kind.
    """
    card = read_card(folder)
    if card.get("kind") != kind:
        raise BrokenData(f"{folder} is a dataset for {card.get('kind')!r}, not for {kind!r}.")
    found = fingerprint(folder / DATA)
    for wanted in (card["fingerprint"], expected or found):
        if found != wanted:
            raise BrokenData(
                f"{folder / DATA} was changed after it was curated: its fingerprint is {found}, "
                f"and {wanted} was expected. Curate the dataset anew, or restore the file."
            )
    train = _read(folder / DATA, kind)
    if not train:
        raise MissingPart(f"{folder / DATA} has no rows. There is nothing to learn from.")
    valid = _read(folder / VALID, kind) if (folder / VALID).is_file() else []
    return Rows(folder, card, found, train, valid)


def _read(file: Path, kind: str) -> list[Row]:
    rows = []
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                rows.append(_row(file, number, line, kind))
    return rows


def _row(file: Path, number: int, line: str, kind: str) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise BrokenData(f"{file}, line {number}, is no JSON: {error}.") from None
    if not isinstance(row, dict) or not any(
        all(name in row for name in names) for names in _COLUMNS[kind]
    ):
        wanted = " or ".join(" + ".join(names) for names in _COLUMNS[kind])
        raise BrokenData(f"{file}, line {number}, is no {kind} row: it needs {wanted}.")
    return row
