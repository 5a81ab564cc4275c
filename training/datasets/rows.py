"""The rows of a dataset for each method; every row is checked when a file is read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from apprentice.state.errors import BadInput, BrokenData, MissingPart

Kind = Literal["sft", "dpo", "grpo", "vision"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
Row = dict[str, Any]


class Part(BaseModel):
    """A part of a turn: an image or a text."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text", "image"]
    text: str = ""


class Turn(BaseModel):
    """One turn in the format that chat templates read."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "user", "assistant", "tool"]
    content: str | list[Part]
    name: str | None = None
    tool_calls: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def is_answer(self) -> bool:
        """Return whether a model can learn to write this turn."""
        return self.role == "assistant" and bool(self.content or self.tool_calls)


class SftRow(BaseModel):
    """A conversation; the model learns the assistant's turns."""

    model_config = ConfigDict(extra="forbid")

    messages: list[Turn]
    tools: list[dict[str, Any]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _teaches(self) -> Self:
        if not self.messages or not self.messages[-1].is_answer:
            raise ValueError("the conversation does not end with an answer of the assistant")
        return self


class DpoRow(BaseModel):
    """A better and a worse answer to one prompt."""

    model_config = ConfigDict(extra="forbid")

    prompt: list[Turn] = Field(min_length=1)
    chosen: list[Turn] = Field(min_length=1)
    rejected: list[Turn] = Field(min_length=1)

    @model_validator(mode="after")
    def _differs(self) -> Self:
        if self.prompt[-1].role == "assistant":
            raise ValueError("the prompt ends with the assistant's turn")
        if not (self.chosen[0].is_answer and self.rejected[0].is_answer):
            raise ValueError("an answer does not begin with the assistant's turn")
        if self.chosen == self.rejected:
            raise ValueError("both answers are the same")
        return self


class GrpoRow(BaseModel):
    """A task of an environment to attempt, or a prompt with the fields that graders read."""

    model_config = ConfigDict(extra="allow")

    environment: str = ""
    task: str = ""
    prompt: list[Turn] = Field(default_factory=list)

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if bool(self.environment and self.task) == bool(self.prompt):
            raise ValueError("a row needs either an environment and a task, or a prompt")
        return self


class VisionRow(SftRow):
    """A conversation about an image, which is a file in the dataset's folder."""

    image: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$")

    @model_validator(mode="after")
    def _shows_one_image(self) -> Self:
        parts = [part for turn in self.messages if isinstance(turn.content, list)
                 for part in turn.content]  # fmt: skip
        if sum(part.type == "image" for part in parts) != 1:
            raise ValueError("the conversation does not show exactly one image")
        return self


_ROWS: Final[dict[Kind, type[BaseModel]]] = {
    "sft": SftRow,
    "dpo": DpoRow,
    "grpo": GrpoRow,
    "vision": VisionRow,
}


def why_not(kind: Kind, row: object) -> str:
    """Return why `row` is not a valid row of a kind; '' if it is valid."""
    try:
        _ROWS[kind].model_validate(row, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        return f"{where}: {reason}" if where else reason
    return ""


def lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the lines of a JSONL file with their numbers, from 1, without the empty ones.

    Raises:
        MissingPart: the file does not exist or cannot be opened.
        BrokenData: a line is not JSON; the message names it.
    """
    try:
        file = path.open(encoding="utf-8")
    except FileNotFoundError as error:
        raise MissingPart(f"There is no file {path}.") from error
    except OSError as error:
        raise MissingPart(f"{path} cannot be read as a file: {error.strerror}.") from error
    with file:
        try:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, json.loads(line)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise BrokenData(f"{path}, line {number}: not JSON ({error}).") from error


def check(kind: Kind, path: Path) -> list[Row]:
    """Return the rows of a file.

    Raises:
        BadInput: a line is not a valid row of the kind; the message names it.
    """
    rows: list[Row] = []
    for number, row in lines(path):
        if reason := why_not(kind, row):
            raise BadInput(f"{path}, line {number}: not a valid {kind} row ({reason}).")
        rows.append(row)
    return rows


def to_jsonl(rows: list[Row]) -> str:
    """Return rows as JSONL; the same rows always give the same text."""
    return "".join(
        json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"
        for row in rows
    )
