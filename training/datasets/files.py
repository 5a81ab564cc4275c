"""Examples from files that people wrote: preferences, rankings, conversations, prompts, images.

Every line that cannot be used is returned with its number and the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, Final, NamedTuple

from apprentice.state.errors import BadInput
from apprentice.state.trajectory import digest
from apprentice.training.datasets.card import NAME_LENGTH, Example, fingerprint
from apprentice.training.datasets.rows import Kind, Row, lines, why_not

IMAGE_QUESTION: Final = "What is in the image?"
_SIGNATURES: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


class Refusal(NamedTuple):
    """The number of a line that cannot be used, and the reason."""

    line: int
    reason: str


class FileExamples(NamedTuple):
    """The examples of a file, the lines that cannot be used, and the files that the rows name."""

    examples: list[Example]
    refusals: list[Refusal]
    files: dict[str, Path]


def preferences(path: Path) -> FileExamples:
    """Read better and worse answers to the same prompt.

    A line is `{"prompt", "chosen", "rejected"}` or a ranking. A ranking is `{"prompt", "answers"}`
    with the best answer first, and every pair of answers is one example. Prompts and answers are
    texts or lists of turns. `family` may name the type of request.
    """

    def read(row: dict[str, Any]) -> Iterator[Row]:
        prompt = _turns("user", row.get("prompt"))
        answers = row.get("answers", [row.get("chosen"), row.get("rejected")])
        if not isinstance(answers, list) or len(answers) < 2:
            raise BadInput('"answers" is not a list of two or more answers')
        for better, worse in combinations(answers, 2):
            first, second = _turns("assistant", better), _turns("assistant", worse)
            yield {"prompt": prompt, "chosen": first, "rejected": second}

    return _read("dpo", path, read)


def conversations(path: Path) -> FileExamples:
    """Read ideal answers: `{"messages"}` or `{"prompt", "answer"}`, optionally with `tools`."""

    def read(row: dict[str, Any]) -> Iterator[Row]:
        messages = row.get("messages")
        if messages is None:
            prompt = _turns("user", row.get("prompt"))
            messages = [*prompt, *_turns("assistant", row.get("answer"))]
        yield {"messages": messages} | ({"tools": row["tools"]} if row.get("tools") else {})

    return _read("sft", path, read)


def prompts(path: Path) -> FileExamples:
    """Read prompts to answer and to grade: `{"prompt"}` and the fields that graders read.

    The model sees `tools` if a line has them. `training/graders.py` says what each grader reads.
    """

    def read(row: dict[str, Any]) -> Iterator[Row]:
        rest = {name: value for name, value in row.items() if name not in ("task", "family")}
        yield rest | {"prompt": _turns("user", row.get("prompt"))}

    return _read("grpo", path, read)


def images(path: Path) -> FileExamples:
    """Read labelled images: `{"image", "label"}`, where `image` is the path of a PNG or JPEG file.

    The path is relative to the folder of the list. `question` may replace IMAGE_QUESTION.
    """
    files: dict[str, Path] = {}

    def read(row: dict[str, Any]) -> Iterator[Row]:
        file = _image(path.parent, row.get("image"))
        name = f"{fingerprint(file)[:NAME_LENGTH]}{file.suffix.lower()}"
        question = row.get("question", IMAGE_QUESTION)
        question_parts = [{"type": "image"}, {"type": "text", "text": question}]
        label = [{"type": "text", "text": str(row.get("label", ""))}]
        if not label[0]["text"]:
            raise BadInput('"label" is missing')
        messages = [
            {"role": "user", "content": question_parts},
            {"role": "assistant", "content": label},
        ]
        files[name] = file
        yield {"messages": messages, "image": name}

    return _read("vision", path, read)._replace(files=files)


def _read(kind: Kind, path: Path, parse: Callable[[dict[str, Any]], Iterator[Row]]) -> FileExamples:
    examples: list[Example] = []
    refusals: list[Refusal] = []
    for number, line in lines(path):
        try:
            if not isinstance(line, dict):
                raise BadInput("not a JSON object")
            parsed_rows = list(parse(line))
        except BadInput as error:
            refusals.append(Refusal(number, str(error)))
            continue
        for row in parsed_rows:
            if reason := why_not(kind, row):
                refusals.append(Refusal(number, reason))
                continue
            task = str(line.get("task") or digest(_opening_of(row)))
            examples.append(
                Example(
                    row=row,
                    task=task,
                    opening=_opening_of(row),
                    family=str(line.get("family", "")),
                    sources=(path.name,),
                    rank=number,
                )
            )
    return FileExamples(examples, refusals, {})


def _turns(role: str, value: object) -> list[Row]:
    if isinstance(value, str) and value.strip():
        return [{"role": role, "content": value}]
    if isinstance(value, list) and value and all(isinstance(turn, dict) for turn in value):
        return value
    raise BadInput(f"an {role} text, or a list of turns, is missing")


def _opening_of(row: Row) -> str:
    """Return the text that identifies a request: the user's turns, and the image's name."""
    turns = row.get("prompt") or row.get("messages") or []
    texts = [str(turn.get("content")) for turn in turns if turn.get("role") == "user"]
    return "\n".join([*texts, str(row.get("image", ""))]).strip()


def _image(folder: Path, value: object) -> Path:
    if not isinstance(value, str) or not value:
        raise BadInput('"image" is missing')
    file = (folder / value).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise BadInput(f"{value[:80]!r} lies outside the folder of the list")
    if not file.is_file():
        raise BadInput(f"there is no file {value[:80]!r}")
    with file.open("rb") as image_file:
        if not image_file.read(8).startswith(_SIGNATURES):
            raise BadInput(f"{value[:80]!r} is neither PNG nor JPEG")
    return file
