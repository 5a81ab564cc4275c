"""Calls are checked against the tools, and turns are marked by their valid calls."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.environments.toolcalls.calls import (
    Call,
    Metrics,
    faults_of,
    mark,
    metrics,
    read,
    same,
)
from apprentice.state.toolcalls import call

TOOLS: list[dict[str, Any]] = [
    {
        "name": "send_money",
        "parameters": {
            "type": "object",
            "properties": {
                "person": {"type": "string"},
                "amount": {"type": "integer"},
                "note": {"type": "string", "enum": ["gift", "rent"]},
            },
            "required": ["person", "amount"],
        },
    },
    {"name": "get_balance", "parameters": {"type": "object", "properties": {}}},
]
RIGHT = Call("send_money", {"person": "Anna", "amount": 5})


@pytest.mark.parametrize(
    ("candidate", "fault"),
    [
        (RIGHT, ""),
        (Call("send_money", {"person": "Anna", "amount": 5, "note": "gift"}), ""),
        (Call("send", {"person": "Anna"}), "There is no tool 'send'. There are: send_money, get_b"),
        (Call("", {}), "There is no tool ''"),
        (Call("send_money", {"person": "Anna"}), "'amount' is a required property"),
        (Call("send_money", {"person": "Anna", "amount": "5"}), "amount: '5' is not of type"),
        (Call("send_money", {"person": "Anna", "amount": True}), "amount: True is not of type"),
        (Call("send_money", {**RIGHT.arguments, "to": "Ben"}), "Additional properties are not"),
        (Call("send_money", {**RIGHT.arguments, "note": "x"}), "note: 'x' is not one of"),
        (Call("get_balance", {"account": 1}), "Additional properties are not"),
    ],
)
def test_a_faulty_call_gets_a_sentence_that_names_the_fault(candidate: Call, fault: str) -> None:
    faults = faults_of(candidate, TOOLS)
    assert bool(faults) is bool(fault)
    assert not fault or fault in faults[0]


@pytest.mark.parametrize(
    ("turn", "valid", "has_call", "functions", "right"),
    [
        (call(*RIGHT), True, True, True, True),
        (f"<think>Money.</think>{call(*RIGHT)}", True, True, True, True),
        (f"I will do it. {call(*RIGHT)}", True, True, True, True),
        (call("send_money", {"person": "Ben", "amount": 5}), True, True, True, False),
        (call("get_balance", {}), True, True, False, False),
        (call("send_money", {"person": "Anna"}), False, True, False, False),
        (call(*RIGHT) * 2, True, True, False, False),
        (call(*RIGHT) + call("get_balance", {}), True, True, False, False),
        (call(*RIGHT) + "<tool_call>oops</tool_call>", False, True, False, False),
        ("send_money", True, False, False, False),
        (f"<think>{call(*RIGHT)}</think>Done.", True, False, False, False),
        ("send_money(person='Anna', amount=5)", True, False, False, False),
        ("<tool_call>{'name': 'send_money'}</tool_call>", False, True, False, False),
        ("", False, False, False, False),
    ],
)
def test_a_turn_is_marked_by_its_calls(
    turn: str, valid: bool, has_call: bool, functions: bool, right: bool
) -> None:
    marks = mark(turn, [RIGHT], TOOLS)
    assert (marks.valid, marks.has_call, marks.functions, marks.right) == (
        valid,
        has_call,
        functions,
        right,
    )


@pytest.mark.parametrize(
    ("turn", "right"),
    [("Which amount?", True), (call(*RIGHT), False), ("", False), ("<tool_call>", False)],
)
def test_a_task_without_reference_calls_accepts_any_text_without_a_call(
    turn: str, right: bool
) -> None:
    assert mark(turn, [], TOOLS).right is right


def test_the_order_of_calls_does_not_matter() -> None:
    other = Call("get_balance", {})
    assert same([RIGHT, other], [other, RIGHT])
    assert not same([RIGHT, RIGHT], [RIGHT, other])
    assert same([Call("a", {"n": 1})], [Call("a", {"n": 1.0})])
    assert not same([Call("a", {"n": 1})], [Call("a", {"n": True})])
    assert not same([Call("a", {"n": [1]})], [Call("a", {"n": [True]})])


def test_each_metric_counts_only_its_own_turns() -> None:
    wrong = call("send_money", {"person": "Ben", "amount": 5})
    marks = [mark(turn, [RIGHT], TOOLS) for turn in (call(*RIGHT), wrong, "No.", "<tool_call>")]
    marks += [mark(turn, [], TOOLS) for turn in ("Which?", call(*RIGHT))]
    assert metrics(marks) == Metrics(calls=0.5, arguments=0.25, no_call=0.5, format=5 / 6)
    assert metrics([]) == Metrics(None, None, None, None)


@given(st.text(max_size=80), st.booleans())
def test_the_reader_accepts_any_text(text: str, in_tags: bool) -> None:
    turn = f"<tool_call>{text}</tool_call>" if in_tags else text
    answer = read(turn, TOOLS)
    assert not (answer.calls and answer.faults and answer.valid)


@given(st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.text(max_size=5)))
def test_the_reader_returns_the_arguments_that_were_written(arguments: dict[str, Any]) -> None:
    tools = [{"name": "any", "parameters": {"type": "object", "additionalProperties": True}}]
    (parsed_call,) = read(call("any", arguments), tools).calls
    assert parsed_call.arguments == json.loads(json.dumps(arguments))
