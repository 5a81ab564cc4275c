"""Questions: an attempt at one, and what it is worth."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage

from apprentice.environments.advance import Advance, Episodes
from apprentice.environments.protocol import Environment
from apprentice.environments.registry import Environments
from apprentice.state.errors import BrokenData
from apprentice.state.trajectory import Verdict, text_of
from tests.conftest import Offer

CAPITAL = {
    "id": "c",
    "question": "What is the capital of Norway?",
    "answer": ["Oslo", "Christiania"],
}


@pytest.fixture
def where(offer: Offer, environments: Environments) -> Environment:
    offer("qa/places", {**CAPITAL, "context": "Norway is in the north.", "kind": "bridge"})
    return environments.get("qa/places")


def answered(where: Environment, *turns: str, task: str = "c") -> Advance:
    episodes, asked = Episodes(), where.task(task)
    messages: list[AnyMessage] = [HumanMessage(text_of(episodes.start(where, asked)))]
    for turn in turns:
        done = episodes.advance(where, asked, messages, AIMessage(turn))
        messages += [AIMessage(turn), done.reply]
    return done


def test_the_reference_is_not_in_the_task(where: Environment) -> None:
    task = where.task("c")
    assert "Oslo" not in task.model_dump_json()
    assert (task.instruction, task.kind) == (CAPITAL["question"], "bridge")
    assert (
        text_of(Episodes().start(where, task))
        == "Norway is in the north.\n\nWhat is the capital of Norway?"
    )


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
def test_an_answer_is_judged(where: Environment, turn: str, success: bool, score: float) -> None:
    done = answered(where, turn)
    said = "The answer is right." if success else "The answer is wrong."
    assert done.verdict == Verdict(success=success, score=score, feedback=said)
    assert "Oslo" not in text_of(done.reply)


def test_thoughts_take_turns_and_the_first_answer_ends_the_attempt(where: Environment) -> None:
    assert answered(where, "think: hm.").verdict is None
    done = answered(where, "think: hm.", "", "Oslo")
    assert done.steps == 3
    assert done.verdict is not None
    assert done.verdict.success
    out = answered(where, *["think: hm."] * 4)
    assert out.verdict is not None
    assert out.verdict.feedback.startswith("Out of steps")


def test_words_in_another_order_score_one_and_are_not_right(
    offer: Offer, environments: Environments
) -> None:
    offer("qa/names", {"id": "n", "question": "Who?", "answer": "Barack Obama"})
    verdict = answered(environments.get("qa/names"), "Obama, Barack", task="n").verdict
    assert verdict is not None
    assert (verdict.success, verdict.score) == (False, 1.0)


@pytest.mark.parametrize("answer", ["the", [], ["Oslo", "a"], "  "])
def test_a_reference_without_words_is_refused(
    offer: Offer, environments: Environments, answer: object
) -> None:
    offer("qa/bad", {**CAPITAL, "answer": answer})
    with pytest.raises(BrokenData, match="line 1: answer"):
        environments.get("qa/bad")
