"""Export datasets to the formats of Hugging Face and of OpenAI's fine-tuning."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from apprentice.state.errors import BadInput, missing_extra
from apprentice.state.toolcalls import parse, read_response, read_section
from apprentice.training.datasets.card import CARD, Dataset, make_folder
from apprentice.training.datasets.openai import OpenAI, check_openai
from apprentice.training.datasets.rows import Kind, Row, check, to_jsonl

_OPENAI: Final[dict[Kind, OpenAI]] = {
    "sft": "supervised",
    "dpo": "preference",
    "grpo": "reinforcement",
}


def to_huggingface(dataset: Dataset, folder: Path) -> None:
    """Save a dataset as a Hugging Face `DatasetDict` on disk, together with its card.

    The splits are `train` and `test`. The columns are the fields of the rows, which TRL reads.

    Raises:
        MissingPart: the Hugging Face package `datasets` is not installed.
    """
    try:
        from datasets import Dataset as Table
        from datasets import DatasetDict
    except ImportError as error:
        raise missing_extra("training", "A Hugging Face data set", error) from error
    splits = {"train": dataset.rows(), "test": dataset.valid()}
    tables = {name: Table.from_list(rows) for name, rows in splits.items() if rows}
    DatasetDict(tables).save_to_disk(str(make_folder(folder)))
    (folder / CARD).write_text(dataset.card.model_dump_json(indent=2) + "\n", "utf-8")


def to_openai(dataset: Dataset, folder: Path) -> tuple[Path, Path]:
    """Write `train.jsonl` and `valid.jsonl` in OpenAI's format, and check them.

    Raises:
        BadInput: OpenAI would refuse a file; the message names the line and the reason.
    """
    kind = dataset.card.kind
    if kind not in _OPENAI:
        raise BadInput(
            f"A {kind} dataset cannot be exported to OpenAI's format, because its images are files "
            "in a folder. Export it with --huggingface instead."
        )
    make = _MAKERS[_OPENAI[kind]]
    make_folder(folder)
    paths = folder / "train.jsonl", folder / "valid.jsonl"
    for path, rows in zip(paths, (dataset.rows(), dataset.valid()), strict=True):
        path.write_text(to_jsonl([make(row) for row in rows]), "utf-8")
    check_openai(_OPENAI[kind], paths[0])
    if dataset.valid():
        check_openai(_OPENAI[kind], paths[1], minimum=1)
    return paths


def check_huggingface(kind: Kind, folder: Path) -> int:
    """Read a saved `DatasetDict` and return its number of rows.

    Raises:
        BadInput: a row is not valid; the message names it.
    """
    from datasets import load_from_disk

    part = folder / ".rows.jsonl"
    count = 0
    for table in load_from_disk(str(folder)).values():
        rows = [_without_nothing(row) for row in table]
        part.write_text(to_jsonl(rows), "utf-8")
        count += len(check(kind, part))
    part.unlink(missing_ok=True)
    return count


def _to_supervised(row: Row) -> Row:
    messages, tools = _native(row["messages"], row.get("tools", []))
    return {"messages": messages} | ({"tools": tools} if tools else {})


def _to_preference(row: Row) -> Row:
    messages, tools = _native(row["prompt"], [])
    request: Row = {"messages": messages} | ({"tools": tools} if tools else {})
    return {
        "input": request,
        "preferred_output": _native(row["chosen"], [])[0],
        "non_preferred_output": _native(row["rejected"], [])[0],
    }


def _to_reinforcement(row: Row) -> Row:
    if "prompt" not in row:
        raise BadInput(
            "These rows name tasks of an environment, and OpenAI's graders cannot run an "
            "environment. Export rows that have a prompt and the fields that a grader reads."
        )
    messages, tools = _native(row["prompt"], [])
    rest = {name: value for name, value in row.items() if name not in ("prompt", "tools")}
    return {**rest, "messages": messages} | ({"tools": tools} if tools else {})


def _native(turns: list[Row], tools: list[Row]) -> tuple[list[Row], list[Row]]:
    """Move tools, calls and results from the texts of the turns to OpenAI's own fields."""
    messages: list[Row] = []
    tools = list(tools)
    open_calls: list[str] = []  # ids of calls that have no result yet
    for turn in turns:
        content = turn["content"]
        if turn["role"] == "system":
            content, section_tools = read_section(content)
            tools += section_tools
        result = read_response(content) if isinstance(content, str) else None
        if turn["role"] == "assistant":
            messages.append(_answer(turn, number=len(messages)))
            open_calls = [call["id"] for call in messages[-1].get("tool_calls", [])]
        elif turn["role"] == "tool":
            messages.append(_result(open_calls.pop(0) if open_calls else "", content))
        elif open_calls and result is not None:
            # One text answers all calls of a turn, but OpenAI expects one result for each call.
            messages += [_result(call, result) for call in open_calls]
            open_calls = []
        elif content:
            messages.append({"role": turn["role"], "content": content})
    return messages, [_function(tool) for tool in tools]


def _result(call: str, content: str) -> Row:
    return {"role": "tool", "content": content, "tool_call_id": call}


def _answer(turn: Row, number: int) -> Row:
    message = parse(turn["content"])
    calls = [{"name": call["name"], "arguments": call["args"]} for call in message.tool_calls]
    calls += [call.get("function", call) for call in turn.get("tool_calls", [])]
    if not calls or message.invalid_tool_calls:
        return {"role": "assistant", "content": turn["content"]}
    native_calls = [
        {
            "id": f"call_{number}_{place}",
            "type": "function",
            "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])},
        }
        for place, call in enumerate(calls)
    ]
    return {"role": "assistant", "content": str(message.text), "tool_calls": native_calls}


def _function(tool: Row) -> Row:
    return tool if "function" in tool else {"type": "function", "function": tool}


def _without_nothing(value: Any) -> Any:
    """Remove the nulls that a table adds where a row has no such field."""
    if isinstance(value, dict):
        return {name: _without_nothing(inner) for name, inner in value.items() if inner is not None}
    return [_without_nothing(inner) for inner in value] if isinstance(value, list) else value


_MAKERS: Final[dict[OpenAI, Callable[[Row], Row]]] = {
    "supervised": _to_supervised,
    "preference": _to_preference,
    "reinforcement": _to_reinforcement,
}
