"""What JSON could not carry is named, and another attempt is told from the same one."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from apprentice.state.errors import BadInput
from apprentice.state.submission import LIMIT, NESTING, as_stored, expect_same, flaw
from apprentice.state.trajectory import Task, Trajectory, Usage

TASK = Task(environment="helpdesk", id="t1", kind="refund", metadata={"seen": 1})
TALK = (HumanMessage("Refund me.", id="1"), AIMessage("Done.", id="2"))
ATTEMPT = Trajectory(id="a", task=TASK, messages=TALK)


def nested(levels: int) -> Any:
    value: Any = "x"
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"a": ["😀", 1.5, None, True, 2**63 - 1, -(2**63) + 1, b"raw", object()]}, ""),
        (nested(NESTING - 1), ""),
        (nested(NESTING), "nested more than 100 levels"),
        ("\ud83d", "half a character"),
        ({"a": [("b", {"\ude00": 1})]}, "'\\ude00' is half a character"),
        ([2**63], "64 bits"),
    ],
)  # fmt: skip
def test_what_json_could_not_carry_is_named(value: object, says: str) -> None:
    assert says in flaw(value)
    assert bool(flaw(value)) == bool(says)


def test_an_attempt_is_taken_as_it_will_be_read_back() -> None:
    number = {"loss": float("nan"), "seen": (1, 2)}
    sent = ATTEMPT.model_copy(update={"task": TASK.model_copy(update={"metadata": number})})
    assert as_stored(sent).task.metadata == {"loss": None, "seen": [1, 2]}
    assert as_stored(ATTEMPT) == ATTEMPT
    unread = ATTEMPT.model_copy(update={"usage": Usage.model_construct(seconds=float("nan"))})
    with pytest.raises(BadInput, match=r"could not be read back \(usage.seconds: "):
        as_stored(unread)
    with pytest.raises(BadInput, match="at most 2,000,000 are stored"):
        as_stored(ATTEMPT.model_copy(update={"run": "x" * LIMIT}))


@pytest.mark.parametrize(
    ("task", "messages", "said", "says"),
    [
        ({}, TALK, ["environment", "id", "kind"], ""),
        ({"metadata": {"seen": 2}, "kind": ""}, TALK, ["environment", "id"], ""),
        ({}, (HumanMessage("Refund me.", id="9"), AIMessage("Done.")), ["id"], ""),
        ({"kind": "parcel"}, TALK, ["id", "kind"], "with another task. Send"),
        ({}, TALK[:1], [], "with other messages. Send"),
        (
            {"id": "t2"},
            (TALK[0], AIMessage("No.")),
            ["id"],
            "another task and other messages. Send",
        ),
    ],
)
def test_another_attempt_is_told_from_the_same(
    task: dict[str, Any], messages: Any, said: list[str], says: str
) -> None:
    of = TASK.model_copy(update=task)
    sent = ATTEMPT.model_copy(update={"task": of, "messages": messages})
    if not says:
        expect_same(ATTEMPT, sent, said)
        return
    with pytest.raises(BadInput, match=says):
        expect_same(ATTEMPT, sent, said)
