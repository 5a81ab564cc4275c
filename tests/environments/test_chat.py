"""Open tasks: an answer is taken as it is, and nobody pretends to know what it is worth."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage

from apprentice.environments.advance import Advance, Episodes
from apprentice.environments.protocol import Environment
from apprentice.environments.registry import Environments
from apprentice.state.trajectory import Verdict, text_of
from tests.conftest import Offer

REQUEST = {
    "id": "r",
    "request": "Apologise.",
    "rubric": ["Is sorry.", "Is short."],
    "split": "test",
}


@pytest.fixture
def where(offer: Offer, environments: Environments) -> Environment:
    offer("chat/letters", REQUEST)
    return environments.get("chat/letters")


def answered(where: Environment, turn: str) -> Advance:
    episodes, task = Episodes(), where.task("r")
    return episodes.advance(where, task, [episodes.start(where, task)], AIMessage(turn))


def test_a_task_brings_its_rubric(where: Environment) -> None:
    task = where.task("r")
    assert (task.instruction, task.split) == ("Apologise.", "test")
    assert task.metadata == {"rubric": ["Is sorry.", "Is short."]}
    assert text_of(Episodes().start(where, task)) == "Apologise."


@pytest.mark.parametrize(
    "turn", ["I am sorry.", "Dear customer,\n\n- we are sorry\n- really\n\nI think you know.\n" * 9]
)
def test_any_answer_ends_the_attempt_without_a_verdict(where: Environment, turn: str) -> None:
    done = answered(where, f"<think>How?</think>{turn}")
    assert done.steps == 1
    assert done.verdict == Verdict(success=None, feedback="Nobody has judged this answer yet.")


def test_a_thought_is_no_answer(where: Environment) -> None:
    done = answered(where, "think: how do I put it?")
    assert (done.verdict, text_of(done.reply)) == (None, "OK.")
