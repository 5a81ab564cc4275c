"""Open tasks: an answer is taken as it is, and nobody pretends to know what it is worth."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage

from apprentice.environments.advance import advance, start
from apprentice.environments.registry import environment
from apprentice.state.nouns import Task, Verdict, text_of
from tests.conftest import Offer

REQUEST = {
    "id": "r",
    "request": "Apologise.",
    "rubric": ["Is sorry.", "Is short."],
    "split": "test",
}


@pytest.fixture
def task(offer: Offer) -> Task:
    offer("chat/letters", REQUEST)
    return environment("chat/letters").task("r")


def test_a_task_brings_its_rubric(task: Task) -> None:
    assert (task.instruction, task.split) == ("Apologise.", "test")
    assert task.metadata == {"rubric": ["Is sorry.", "Is short."]}
    assert text_of(start(task)) == "Apologise."


@pytest.mark.parametrize(
    "turn", ["I am sorry.", "Dear customer,\n\n- we are sorry\n- really\n\nI think you know.\n" * 9]
)
def test_any_answer_ends_the_attempt_without_a_verdict(task: Task, turn: str) -> None:
    done = advance(task, [start(task)], AIMessage(f"<think>How?</think>{turn}"))
    assert done.steps == 1
    assert done.verdict == Verdict(success=None, feedback="Nobody has judged this answer yet.")


def test_a_thought_is_no_answer(task: Task) -> None:
    done = advance(task, [start(task)], AIMessage("think: how do I put it?"))
    assert (done.verdict, text_of(done.reply)) == (None, "OK.")
