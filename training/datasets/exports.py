"""Datasets in the formats of others: Hugging Face, and OpenAI's fine-tuning."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from apprentice.state.errors import BadInput, MissingExtra
from apprentice.state.toolcalls import parse, read_response, read_section
from apprentice.training.datasets.card import CARD, Dataset, made_folder
from apprentice.training.datasets.openai import OpenAI, check_openai
from apprentice.training.datasets.rows import Kind, Row, check, written

_OPENAI: Final[dict[Kind, OpenAI]] = {
    "sft": "supervised",
    "dpo": "preference",
    "grpo": "reinforcement",
}


def to_huggingface(dataset: Dataset, folder: Path) -> None:
    """Save a dataset as a Hugging Face `DatasetDict` on disk, its card beside it.

    The splits are `train` and `test`; the columns are those of the rows, which are what TRL reads.
    """
    try:
        from datasets import Dataset as Table
        from datasets import DatasetDict
    except ImportError as error:
        raise MissingExtra("training", "A Hugging Face data set", error) from error
    splits = {"train": dataset.rows(), "test": dataset.valid()}
    tables = {name: Table.from_list(rows) for name, rows in splits.items() if rows}
    DatasetDict(tables).save_to_disk(str(made_folder(folder)))
    (folder / CARD).write_text(dataset.card.model_dump_json(indent=2) + "\n", "utf-8")


def to_openai(dataset: Dataset, folder: Path) -> tuple[Path, Path]:
    """Write `train.jsonl` and `valid.jsonl` in OpenAI's format, and check them.

    Raises:
        BadInput: OpenAI would refuse the file; says which line, and why.
    """
    kind = dataset.card.kind
    if kind not in _OPENAI:
        raise BadInput(
            f"OpenAI has no format for a {kind} dataset in a folder: its images are addresses or "
            "data within the file. Export it to Hugging Face."
        )
    make = _MAKERS[_OPENAI[kind]]
    made_folder(folder)
    written_to = folder / "train.jsonl", folder / "valid.jsonl"
    for path, rows in zip(written_to, (dataset.rows(), dataset.valid()), strict=True):
        path.write_text(written([make(row) for row in rows]), "utf-8")
    check_openai(_OPENAI[kind], written_to[0])
    if dataset.valid():
        check_openai(_OPENAI[kind], written_to[1], least=1)
    return written_to


def check_huggingface(kind: Kind, folder: Path) -> int:
    """Read a saved `DatasetDict` back, and return how many rows are as they should be.

    Raises:
        BadInput: a row is not; names it.
    """
    from datasets import load_from_disk

    part = folder / ".rows.jsonl"
    count = 0
    for table in load_from_disk(str(folder)).values():
        rows = [_without_nothing(row) for row in table]
        part.write_text(written(rows), "utf-8")
        count += len(check(kind, part))
    part.unlink(missing_ok=True)
    return count


def _supervised(row: Row) -> Row:
    messages, tools = _native(row["messages"], row.get("tools", []))
    return {"messages": messages} | ({"tools": tools} if tools else {})


def _preference(row: Row) -> Row:
    messages, tools = _native(row["prompt"], [])
    asked: Row = {"messages": messages} | ({"tools": tools} if tools else {})
    return {
        "input": asked,
        "preferred_output": _native(row["chosen"], [])[0],
        "non_preferred_output": _native(row["rejected"], [])[0],
    }


def _reinforcement(row: Row) -> Row:
    if "prompt" not in row:
        raise BadInput(
            "These rows name tasks of an environment, which OpenAI's graders cannot run. Export "
            "rows that have a prompt, with what a grader reads beside it."
        )
    messages, tools = _native(row["prompt"], [])
    rest = {name: value for name, value in row.items() if name not in ("prompt", "tools")}
    return {**rest, "messages": messages} | ({"tools": tools} if tools else {})


def _native(turns: list[Row], tools: list[Row]) -> tuple[list[Row], list[Row]]:
    """Return turns with their tools, calls and results in OpenAI's own fields, not in the text."""
    made: list[Row] = []
    tools = list(tools)
    waiting: list[str] = []  # ids of calls that have no result yet
    for turn in turns:
        content = turn["content"]
        if turn["role"] == "system":
            content, found = read_section(content)
            tools += found
        result = read_response(content) if isinstance(content, str) else None
        if turn["role"] == "assistant":
            made.append(_answer(turn, number=len(made)))
            waiting = [call["id"] for call in made[-1].get("tool_calls", [])]
        elif turn["role"] == "tool":
            made.append(_result(waiting.pop(0) if waiting else "", content))
        elif waiting and result is not None:
            # One text answers all calls of a turn; OpenAI wants a result for each.
            made += [_result(call, result) for call in waiting]
            waiting = []
        elif content:
            made.append({"role": turn["role"], "content": content})
    return made, [_function(tool) for tool in tools]


def _result(call: str, content: str) -> Row:
    return {"role": "tool", "content": content, "tool_call_id": call}


def _answer(turn: Row, number: int) -> Row:
    message = parse(turn["content"])
    calls = [{"name": call["name"], "arguments": call["args"]} for call in message.tool_calls]
    calls += [call.get("function", call) for call in turn.get("tool_calls", [])]
    if not calls or message.invalid_tool_calls:
        return {"role": "assistant", "content": turn["content"]}
    made = [
        {
            "id": f"call_{number}_{place}",
            "type": "function",
            "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])},
        }
        for place, call in enumerate(calls)
    ]
    return {"role": "assistant", "content": str(message.text), "tool_calls": made}


def _function(tool: Row) -> Row:
    return tool if "function" in tool else {"type": "function", "function": tool}


def _without_nothing(value: Any) -> Any:
    """Drop the nulls that a table puts where a row has no such field."""
    if isinstance(value, dict):
        return {name: _without_nothing(inner) for name, inner in value.items() if inner is not None}
    return [_without_nothing(inner) for inner in value] if isinstance(value, list) else value


_MAKERS: Final[dict[OpenAI, Callable[[Row], Row]]] = {
    "supervised": _supervised,
    "preference": _preference,
    "reinforcement": _reinforcement,
}
