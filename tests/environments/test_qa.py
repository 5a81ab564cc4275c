"""Questions: attempts and their scores."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage

from apprentice.environments.advance import Advance, advance, start
from apprentice.environments.registry import environment
from apprentice.state.errors import BrokenData
from apprentice.state.nouns import Task, Verdict, text_of
from tests.conftest import Offer

CAPITAL = {
    "id": "c",
    "question": "What is the capital of Norway?",
    "answer": ["Oslo", "Christiania"],
}


@pytest.fixture
def task(offer: Offer) -> Task:
    offer("qa/places", {**CAPITAL, "context": "Norway is in the north.", "kind": "bridge"})
    return environment("qa/places").task("c")


def last_result(task: Task, *turns: str) -> Advance:
    messages: list[AnyMessage] = [HumanMessage(text_of(start(task)))]
    for turn in turns:
        result = advance(task, messages, AIMessage(turn))
        messages += [AIMessage(turn), result.reply]
    return result


def test_a_task_does_not_contain_its_answers(task: Task) -> None:
    assert "Oslo" not in task.model_dump_json()
    assert (task.instruction, task.kind) == (CAPITAL["question"], "bridge")
    assert text_of(start(task)) == "Norway is in the north.\n\nWhat is the capital of Norway?"


@pytest.mark.parametrize(
    ("turn", "success", "score"),
    [
        ("Oslo", True, 1.0),
        ("think: it was Christiania once.\nAnswer: The Oslo.", True, 1.0),
        ("<think>Bergen?</think>**Answer:** Christiania\n", True, 1.0),
        ("Answer: Bergen?\nNo.\nFinal answer: Oslo", True, 1.0),
        ("It is Oslo.", False, 0.5),
        ("Bergen", False, 0.0),
        ("Answer:\nOslo", True, 1.0),
    ],
)
def test_an_answer_gets_a_verdict(task: Task, turn: str, success: bool, score: float) -> None:
    result = last_result(task, turn)
    feedback = "The answer is right." if success else "The answer is wrong."
    assert result.verdict == Verdict(success=success, score=score, feedback=feedback)
    assert "Oslo" not in text_of(result.reply)


def test_thoughts_cost_steps_and_the_first_answer_ends_the_attempt(task: Task) -> None:
    assert last_result(task, "think: hm.").verdict is None
    result = last_result(task, "think: hm.", "", "Oslo")
    assert result.steps == 3
    assert result.verdict is not None
    assert result.verdict.success
    out = last_result(task, *["think: hm."] * 4)
    assert out.verdict is not None
    assert out.verdict.feedback.startswith("Out of steps")


def test_the_right_words_in_another_order_are_not_the_right_answer(offer: Offer) -> None:
    offer("qa/names", {"id": "n", "question": "Who?", "answer": "Barack Obama"})
    verdict = last_result(environment("qa/names").task("n"), "Obama, Barack").verdict
    assert verdict is not None
    assert (verdict.success, verdict.score) == (False, 1.0)


@pytest.mark.parametrize("answer", ["the", [], ["Oslo", "a"], "  "])
def test_a_reference_without_words_is_an_error(offer: Offer, answer: object) -> None:
    offer("qa/bad", {**CAPITAL, "answer": answer})
    with pytest.raises(BrokenData, match="line 1: answer"):
        environment("qa/bad")
