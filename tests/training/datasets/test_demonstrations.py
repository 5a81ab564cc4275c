"""The tool calls that ship become a dataset, by the command that people use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apprentice.environments.toolcalls.calls import mark, read
from apprentice.environments.toolcalls.environment import Toolcalls
from apprentice.state.toolcalls import read_section
from apprentice.training.datasets.__main__ import main
from apprentice.training.datasets.card import Example, load
from apprentice.training.datasets.demonstrations import (
    REQUESTS,
    join_conversations,
    sampled_calls,
    tool_calls,
)
from apprentice.training.datasets.openai import check_openai


def right(answers: dict[str, str]) -> float:
    """Return the share of requests whose answer is right."""
    every = Toolcalls()
    marks = []
    for task in every.tasks("train", 10_000):
        domain = Toolcalls(task.environment.split("/")[1])
        marks.append(
            mark(answers[task.id], every.request(task.id).reference_calls, domain.tools).right
        )
    return sum(marks) / len(marks)


def answers(shuffled: int | None) -> dict[str, str]:
    return {
        example.task.partition("#")[2]: example.row["messages"][-1]["content"]
        for example in tool_calls(shuffle_seed=shuffled)
    }


def test_demonstrations_are_right_and_shuffled_ones_are_not() -> None:
    assert right(answers(None)) == 1
    assert right(answers(1)) < 0.25
    assert sorted(answers(1).values()) == sorted(answers(None).values())


def test_a_demonstration_is_prompted_as_an_attempt_is() -> None:
    for example in tool_calls("test")[:5]:
        domain = Toolcalls(example.environment.split("/")[1])
        assert example.row["messages"][0]["content"] == domain.instructions


def said(rows: list[Example]) -> list[str]:
    return [
        turn["content"]
        for one in rows
        for turn in one.row["messages"]
        if turn["role"] == "assistant"
    ]


def test_drawn_conversations_show_the_tools_that_they_call() -> None:
    rows = sampled_calls(40)
    assert rows[:10] == sampled_calls(10)
    # Mixed ones with a single tool may come twice.
    assert len({one.row["messages"][0]["content"] for one in rows}) > 35
    calls = 0
    for one in rows:
        _, tools = read_section(one.row["messages"][0]["content"])
        answers = [read(answer, tools) for answer in said([one])]
        assert len(answers) == REQUESTS
        assert all(answer.valid for answer in answers)
        calls += sum(bool(answer.calls) for answer in answers)
    assert 0.6 < calls / (40 * REQUESTS) < 0.73


def test_shuffled_conversations_have_the_same_answers_elsewhere() -> None:
    told, shuffled = sampled_calls(40), sampled_calls(40, shuffle_seed=0)
    assert sorted(said(told)) == sorted(said(shuffled))
    same = [one == other for one, other in zip(said(told), said(shuffled), strict=True)]
    assert sum(same) / len(same) < 0.1
    valid = [
        read(answer, read_section(one.row["messages"][0]["content"])[1]).valid
        for one in shuffled
        for answer in said([one])
    ]
    assert sum(valid) / len(valid) < 0.5


def test_the_command_makes_and_exports_a_dataset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["toolcalls", "--out", str(tmp_path)]) == 0
    folder = Path(capsys.readouterr().out.strip())
    card = load(folder).card
    assert card.counts["rows"] > 450
    assert set(card.balance) == {"call", "missing", "imagined", "small_talk"}
    assert main(["export", str(folder), "--openai", str(tmp_path / "openai")]) == 0
    exported = tmp_path / "openai" / "train.jsonl"
    assert check_openai("supervised", exported) == card.counts["rows"]
    first = json.loads(exported.read_text().splitlines()[0])
    assert len(first["tools"]) == 4


def test_requests_to_the_same_tools_become_one_conversation() -> None:
    alone = tool_calls()
    joined = join_conversations(alone)
    assert len(joined) * REQUESTS < len(alone) + REQUESTS * len({one.environment for one in alone})
    assert sorted(said(joined)) == sorted(said(alone))
    for one in joined:
        tools = read_section(one.row["messages"][0]["content"])[1]
        assert all(read(answer, tools).valid for answer in said([one]))


def test_the_command_draws_as_many_as_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["toolcalls", "--drawn", "20", "--share", "0", "--out", str(tmp_path)]
    assert main(told) == 0
    balance = load(Path(capsys.readouterr().out.strip())).card.balance
    assert balance["drawn"] == 20


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "few.jsonl"
    file.write_text('{"prompt": "Hi", "answer": "Hello"}\n{"prompt": "Hi"}\n')
    assert main(["conversations", str(file), "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "few.jsonl, line 2: an assistant text" in said
    assert "needs at least 50 rows" in said
