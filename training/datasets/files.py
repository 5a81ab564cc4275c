"""Examples from files that people wrote: preferences, rankings, conversations, prompts, images.

Nothing is dropped silently: what cannot be used comes back with its line and the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, Final, NamedTuple

from apprentice.state.errors import BadInput
from apprentice.state.nouns import digest
from apprentice.training.datasets.card import NAME_LENGTH, Example, fingerprint
from apprentice.training.datasets.rows import Kind, Row, lines, why_not

IMAGE_QUESTION: Final = "What is in the image?"
_SIGNATURES: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


class Refused(NamedTuple):
    """A line that cannot be used, and why."""

    line: int
    reason: str


class Read(NamedTuple):
    """What a file gave; `files` are those that the rows name."""

    examples: list[Example]
    refused: list[Refused]
    files: dict[str, Path]


def preferences(path: Path) -> Read:
    """Read better and worse answers to the same prompt.

    A line is `{"prompt", "chosen", "rejected"}`, or a ranking: `{"prompt", "answers"}` with the
    best answer first, of which every pair is one example. Prompts and answers are texts or lists
    of turns; `family` may name the type of request.
    """

    def read(row: dict[str, Any]) -> Iterator[Row]:
        prompt = _turns("user", row.get("prompt"))
        answers = row.get("answers", [row.get("chosen"), row.get("rejected")])
        if not isinstance(answers, list) or len(answers) < 2:
            raise BadInput('"answers" is no list of two or more')
        for better, worse in combinations(answers, 2):
            chosen, rejected = _turns("assistant", better), _turns("assistant", worse)
            yield {"prompt": prompt, "chosen": chosen, "rejected": rejected}

    return _read("dpo", path, read)


def conversations(path: Path) -> Read:
    """Read ideal answers: `{"messages"}`, or `{"prompt", "answer"}`; `tools` may stand beside."""

    def read(row: dict[str, Any]) -> Iterator[Row]:
        messages = row.get("messages")
        if messages is None:
            prompt = _turns("user", row.get("prompt"))
            messages = [*prompt, *_turns("assistant", row.get("answer"))]
        yield {"messages": messages} | ({"tools": row["tools"]} if row.get("tools") else {})

    return _read("sft", path, read)


def prompts(path: Path) -> Read:
    """Read prompts to be answered and graded: `{"prompt"}`, and beside it what graders read.

    `tools` are shown to the model. What each grader reads stands in `training/graders.py`.
    """

    def read(row: dict[str, Any]) -> Iterator[Row]:
        rest = {name: value for name, value in row.items() if name not in ("task", "family")}
        yield rest | {"prompt": _turns("user", row.get("prompt"))}

    return _read("grpo", path, read)


def images(path: Path) -> Read:
    """Read labelled images: `{"image", "label"}`, the image beside the file, a PNG or JPEG.

    `question` may say what is asked; otherwise what is in the image.
    """
    files: dict[str, Path] = {}

    def read(row: dict[str, Any]) -> Iterator[Row]:
        file = _image(path.parent, row.get("image"))
        name = f"{fingerprint(file)[:NAME_LENGTH]}{file.suffix.lower()}"
        question = row.get("question", IMAGE_QUESTION)
        asked = [{"type": "image"}, {"type": "text", "text": question}]
        label = [{"type": "text", "text": str(row.get("label", ""))}]
        if not label[0]["text"]:
            raise BadInput('"label" is missing')
        messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": label}]
        files[name] = file
        yield {"messages": messages, "image": name}

    return _read("vision", path, read)._replace(files=files)


def _read(kind: Kind, path: Path, rows: Callable[[dict[str, Any]], Iterator[Row]]) -> Read:
    examples: list[Example] = []
    refused: list[Refused] = []
    for number, line in lines(path):
        try:
            if not isinstance(line, dict):
                raise BadInput("not a JSON object")
            made = list(rows(line))
        except BadInput as error:
            refused.append(Refused(number, str(error)))
            continue
        for row in made:
            if reason := why_not(kind, row):
                refused.append(Refused(number, reason))
                continue
            task = str(line.get("task") or digest(_opening(row)))
            examples.append(
                Example(
                    row=row,
                    task=task,
                    opening=_opening(row),
                    family=str(line.get("family", "")),
                    sources=(path.name,),
                    rank=number,
                )
            )
    return Read(examples, refused, {})


def _turns(role: str, given: object) -> list[Row]:
    if isinstance(given, str) and given.strip():
        return [{"role": role, "content": given}]
    if isinstance(given, list) and given and all(isinstance(turn, dict) for turn in given):
        return given
    raise BadInput(f"an {role} text, or a list of turns, is missing")


def _opening(row: Row) -> str:
    """Return what tells one request from another: the user's words, and the image."""
    turns = row.get("prompt") or row.get("messages") or []
    said = [str(turn.get("content")) for turn in turns if turn.get("role") == "user"]
    return "\n".join([*said, str(row.get("image", ""))]).strip()


def _image(folder: Path, given: object) -> Path:
    if not isinstance(given, str) or not given:
        raise BadInput('"image" is missing')
    file = (folder / given).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise BadInput(f"{given[:80]!r} lies outside the folder of the list")
    if not file.is_file():
        raise BadInput(f"there is no file {given[:80]!r}")
    with file.open("rb") as opened:
        if not opened.read(8).startswith(_SIGNATURES):
            raise BadInput(f"{given[:80]!r} is neither PNG nor JPEG")
    return file
