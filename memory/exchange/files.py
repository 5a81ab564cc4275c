"""Rows in JSON Lines files and in Hugging Face data sets on disk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, BinaryIO, Final, NamedTuple

from apprentice.state.errors import BadInput, BrokenData, missing_extra

LINE_LIMIT: Final = 8_000_000  # bytes: more than the largest attempt that can be stored
_NEWLINE: Final = b"\n"


class Item(NamedTuple):
    """A row with its place in the source, or the reason why it cannot be read."""

    where: str
    row: object = None
    fault: str = ""


def read_jsonl(path: Path, longest: int = LINE_LIMIT) -> Iterator[Item]:
    """Yield the rows of a file, one per line. Empty lines are skipped.

    Args:
        path: the file.
        longest: the largest size of a line in bytes.

    Raises:
        BadInput: if the file cannot be read.

    Example:
        >>> with open("attempts.jsonl", "w") as file:
        ...     _ = file.write('{"messages": [{"role": "user", "content": "Hi"}], "success": true}')
        >>> [item.where for item in read_jsonl(Path("attempts.jsonl"))]
        ['line 1']
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}). Name another file.") from error
    with file:
        number = 0
        while line := file.readline(longest + 1):
            number += 1
            whole = len(line) <= longest or line.endswith(_NEWLINE)
            if not whole:
                _skip(file, longest)
                yield Item(f"line {number}", fault=f"It is longer than {longest:,} bytes.")
            elif line.strip():
                yield _parse(f"line {number}", line)


def read_dataset(folder: Path) -> Iterator[Item]:
    """Yield the rows of a Hugging Face data set that `save_to_disk` wrote.

    If the data set has splits, each row gets the name of its split, unless it names another.

    Raises:
        MissingPart: if the package `datasets` is not installed.
        BrokenData: if the folder holds no readable data set.
    """
    library = _library()
    try:
        dataset = library.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BrokenData(
            f"{folder} holds no Hugging Face data set that can be read "
            f"({str(error).splitlines()[0][:200]}). Name a folder that save_to_disk wrote."
        ) from error
    parts = dataset if isinstance(dataset, library.DatasetDict) else {"": dataset}
    for split, rows in parts.items():
        prefix = f"{split} row" if split else "row"
        for number, row in enumerate(rows, 1):
            columns = {**row, "split": row.get("split") or split} if split else row
            yield Item(f"{prefix} {number}", columns)


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows to a file and return their number. A failure leaves no partial file.

    Raises:
        BadInput: if the file cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    count = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False).encode() + _NEWLINE)
                count += 1
        part.replace(path)
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written ({error.strerror}). Name another file."
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return count


def write_dataset(folder: Path, rows: Path) -> None:
    """Write the rows of a JSON Lines file as a Hugging Face data set.

    `messages` have the form that trainers read. Values without fixed columns are JSON.

    Raises:
        MissingPart: if the package `datasets` is not installed.
        BadInput: if the folder is not empty or cannot be written, or there are no rows.
    """
    library = _library()
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file. Name a new folder, or a file that ends in .jsonl.")
    if folder.exists() and any(folder.iterdir()):
        raise BadInput(f"{folder} is not empty. Name a new folder.")
    if next(read_jsonl(rows), None) is None:
        raise BadInput(
            "There is no attempt to write, and a data set cannot be empty. Change the filters."
        )
    text, json_ = library.Value("string"), library.Json()
    features = library.Features(
        {
            "schema_version": library.Value("int64"),
            **dict.fromkeys(("id", "environment", "task", "instruction", "kind", "split"), text),
            "metadata": json_,
            "messages": library.List(json_),
            "success": library.Value("bool"),
            "score": library.Value("float64"),
            **dict.fromkeys(("feedback", "source"), text),
            "interrupted": library.Value("bool"),
            "verdicts": library.List(json_),
            "run": text,
            "trial": library.Value("int64"),
            "in_view": json_,
            **dict.fromkeys(("model", "adapter"), text),
            "usage": json_,
            "ended_at": library.Value("float64"),
        }
    )
    with TemporaryDirectory() as cache:
        dataset = library.Dataset.from_generator(
            _rows, features=features, gen_kwargs={"path": str(rows)}, cache_dir=cache
        )
        try:
            dataset.save_to_disk(str(folder))
        except OSError as error:
            raise BadInput(
                f"{folder} cannot be written ({error.strerror}). Name another folder."
            ) from error


def _rows(path: str) -> Iterator[Any]:
    return (item.row for item in read_jsonl(Path(path)))


def _parse(where: str, line: bytes) -> Item:
    try:
        return Item(where, json.loads(line.removeprefix(b"\xef\xbb\xbf")))
    except (ValueError, RecursionError) as error:
        return Item(where, fault=f"It is not JSON ({str(error)[:120]}).")


def _skip(file: BinaryIO, longest: int) -> None:
    """Read to the end of the line and discard it."""
    while (rest := file.readline(longest)) and not rest.endswith(_NEWLINE):
        pass


def _library() -> ModuleType:
    try:
        library = import_module("datasets")
    except ImportError as error:
        raise missing_extra("training", "A Hugging Face data set", error) from error
    library.disable_progress_bars()
    return library
