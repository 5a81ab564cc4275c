"""Exports are what Hugging Face and OpenAI read, and the validators say when they are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from apprentice.state.errors import BadInput
from apprentice.state.toolcalls import call, response, section
from apprentice.training.datasets.card import Dataset, Example, save
from apprentice.training.datasets.curation import Curation, curate
from apprentice.training.datasets.exports import check_huggingface, to_huggingface, to_openai
from apprentice.training.datasets.openai import OpenAI, check_openai
from apprentice.training.datasets.rows import Kind, Row

TOOL = {
    "name": "get_price",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
ASKED = [
    {"role": "system", "content": f"Be brief.\n\n{section([TOOL])}"},
    {"role": "user", "content": "Price in Oslo?"},
]
CALLED = {
    "role": "assistant",
    "content": f"<think>A price.</think>{call('get_price', {'city': 'Oslo'})}",
}
ROWS: dict[Kind, Row] = {
    "sft": {"messages": [*ASKED, CALLED]},
    "dpo": {
        "prompt": ASKED,
        "chosen": [CALLED],
        "rejected": [{"role": "assistant", "content": "?"}],
    },
    "grpo": {"prompt": ASKED, "reference": "get_price"},
}
FORMS: dict[Kind, OpenAI] = {"sft": "supervised", "dpo": "preference", "grpo": "reinforcement"}


def dataset(kind: Kind, folder: Path, row: Row, count: int = 14) -> Dataset:
    """Save a dataset of so many rows that differ in a number."""
    rows = [json.loads(json.dumps(row).replace("Oslo", f"Oslo {n}")) for n in range(count)]
    examples = [Example(row=row, task=str(number)) for number, row in enumerate(rows)]
    return save(curate(kind, examples, Curation(minimum_rows=1)), folder)


@pytest.mark.parametrize("kind", ["sft", "dpo", "grpo"])
def test_openai_gets_tools_and_calls_in_their_own_fields(kind: Kind, tmp_path: Path) -> None:
    train, valid = to_openai(dataset(kind, tmp_path, ROWS[kind]), tmp_path / "out")
    assert (check_openai(FORMS[kind], train), check_openai(FORMS[kind], valid, minimum=1)) == (
        12,
        2,
    )
    row = json.loads(train.read_text().splitlines()[0])
    asked = row["input"] if kind == "dpo" else row
    assert asked["tools"] == [{"type": "function", "function": TOOL}]
    assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
    if kind == "grpo":
        assert row["reference"] == "get_price"
        return
    (answer,) = row["preferred_output"] if kind == "dpo" else row["messages"][2:]
    made = answer["tool_calls"][0]
    assert made["function"]["name"] == "get_price"
    assert json.loads(made["function"]["arguments"])["city"].startswith("Oslo ")
    assert "<tool_call>" not in answer["content"]


def test_what_tools_answered_becomes_turns_of_theirs(tmp_path: Path) -> None:
    both = call("get_price", {"city": "Oslo"}) + call("get_price", {"city": "Rome"})
    row = {
        "messages": [
            *ASKED,
            {"role": "assistant", "content": both},
            {"role": "user", "content": response("12 and 14")},
            CALLED,
            {"role": "tool", "content": "12"},
            {"role": "user", "content": "And now?"},
            {"role": "assistant", "content": "It is 12."},
        ]
    }
    train, _ = to_openai(dataset("sft", tmp_path, row), tmp_path / "out")
    messages = json.loads(train.read_text().splitlines()[0])["messages"]
    roles = ["system", "user", "assistant", "tool", "tool", "assistant", "tool", "user"]
    assert [turn["role"] for turn in messages] == [*roles, "assistant"]
    asked, answered = messages[2]["tool_calls"], messages[3:5]
    assert [made["id"] for made in asked] == [turn["tool_call_id"] for turn in answered]
    assert [turn["content"] for turn in answered] == ["12 and 14"] * 2
    assert messages[6]["tool_call_id"] == messages[5]["tool_calls"][0]["id"]


def test_what_openai_cannot_run_is_not_exported(tmp_path: Path) -> None:
    row = {"environment": "household Oslo", "task": "train/1"}
    with pytest.raises(BadInput, match="cannot run"):
        to_openai(dataset("grpo", tmp_path, row), tmp_path / "out")


def test_too_few_for_openai(tmp_path: Path) -> None:
    few = [Example(row=ROWS["sft"], task="a")]
    made = save(curate("sft", few, Curation(minimum_rows=1, minimum_tasks=1)), tmp_path)
    with pytest.raises(BadInput, match="has 1 examples, but OpenAI requires at least 10"):
        to_openai(made, tmp_path / "out")


MESSAGE = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "content": "Hello"}
MADE = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "1", "function": {"name": "a", "arguments": "{}"}}],
}


@pytest.mark.parametrize(
    ("form", "row", "reason"),
    [
        ("supervised", {"messages": []}, "messages are missing"),
        ("supervised", {"messages": [MESSAGE]}, "does not end with the assistant"),
        ("supervised", {"messages": [{"role": "human", "content": "Hi"}, ANSWER]}, "known role"),
        ("supervised", {"messages": [MESSAGE, ANSWER], "image": "x"}, "unknown fields"),
        ("supervised", {"messages": [MESSAGE, {"role": "assistant", "content": ""}]}, "empty"),
        (
            "supervised",
            {"messages": [MESSAGE, {**ANSWER, "tool_calls": [
                {"id": "1", "function": {"name": "a", "arguments": "{'city': 'Oslo'}"}}]}]},
            "not the JSON text of an object",
        ),
        (
            "supervised",
            {"messages": [{"role": "tool", "content": "x"}, ANSWER]},
            "names no call",
        ),
        (
            "supervised",
            {"messages": [MESSAGE, MADE, {"role": "user", "content": "Done."}, ANSWER]},
            "not followed by its tool",
        ),
        (
            "supervised",
            {"messages": [MESSAGE, MADE, {"role": "tool", "content": "x", "tool_call_id": "2"},
                          ANSWER]},
            "names no call of the turn before it",
        ),
        ("supervised", {"messages": [MESSAGE, ANSWER], "tools": [TOOL]}, "not a function"),
        ("preference", {"messages": [MESSAGE, ANSWER]}, "needs input"),
        (
            "preference",
            {"input": {"messages": [MESSAGE]}, "preferred_output": [MESSAGE],
             "non_preferred_output": [ANSWER]},
            "preferred_output is not one turn of the assistant",
        ),
        ("reinforcement", {"messages": [MESSAGE, ANSWER]}, "does not end with the user"),
    ],
)  # fmt: skip
def test_the_validator_names_the_line_and_the_reason(
    form: OpenAI, row: Any, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(BadInput, match=rf"line 1: not a valid {form} example \(.*{reason}"):
        check_openai(form, path, minimum=1)


@pytest.mark.parametrize("kind", ["sft", "dpo", "grpo"])
def test_hugging_face_reads_back_what_was_saved(kind: Kind, tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    made = dataset(kind, tmp_path, ROWS[kind])
    to_huggingface(made, tmp_path / "table")
    assert check_huggingface(kind, tmp_path / "table") == 14
