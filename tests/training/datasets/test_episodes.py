"""Attempts become examples: what is imitated, what is contrasted, and what is taken out."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from apprentice.environments.toolcalls.environment import Toolcalls
from apprentice.state.prompts import HOUSEHOLD_INSTRUCTIONS, Shown, act_prompt
from apprentice.state.toolcalls import call
from apprentice.state.trajectory import InView, Reflection, Task, Trajectory, Verdict, text_of
from apprentice.training.datasets.episodes import (
    challenges,
    contrasts,
    shuffle_verdicts,
    strip_view,
    successes,
)
from tests.places import advance, environment, start
from tests.training.attempts import NORTH, pairs


@pytest.fixture(scope="module")
def attempts() -> list[Trajectory]:
    return list(pairs(24))


def said(task: str, success: bool | None, *turns: str, split: str = "train") -> Trajectory:
    """Return an attempt in which the environment answers each turn with its number."""
    messages = [SystemMessage("Act."), HumanMessage(f"Do {task}.")]
    for number, turn in enumerate(turns, 1):
        messages += [AIMessage(turn), HumanMessage(f"answer {number} to {turn}")]
    return Trajectory(
        id=f"{task}:{'+'.join(turns)}:{success}",
        task=Task(id=task, environment="somewhere", kind="odd", split=split),
        messages=tuple(messages),
        verdict=Verdict(success=success),
    )


def test_successes_are_imitated_and_nothing_else(attempts: list[Trajectory]) -> None:
    found = successes(attempts)
    solved = [attempt for attempt in attempts if attempt.verdict.success]
    assert {example.sources[0] for example in found.examples} == {one.id for one in solved}
    assert found.left_out == {"not_a_success": len(attempts) - len(solved)}
    for example in found.examples:
        chat = example.row["messages"]
        assert [turn["role"] for turn in chat[:3]] == ["system", "user", "assistant"]
        assert chat[-1]["role"] == "assistant"


def test_what_was_in_view_moves_into_the_weights(attempts: list[Trajectory]) -> None:
    kept = successes(attempts, strip=False).examples
    taken = successes(attempts).examples
    assert any("Rules learned" in example.row["messages"][0]["content"] for example in kept)
    assert {example.row["messages"][0]["content"] for example in taken} == {HOUSEHOLD_INSTRUCTIONS}


def test_a_success_that_rests_on_lessons_about_its_own_task_is_no_example_without_them() -> None:
    lesson = InView(reflections=(Reflection(text="The mug is at shelf 1.", trial=1),))
    told = said("a", True, "go to shelf 1").model_copy(update={"in_view": lesson})
    found = successes([told, said("b", True, "look")])
    assert [example.task for example in found.examples] == ["somewhere#b"]
    assert found.left_out == {"rests_on_lessons": 1}
    assert len(successes([told], strip=False).examples) == 1


def test_a_lesson_about_the_task_is_no_better_answer_either_without_it() -> None:
    lesson = InView(reflections=(Reflection(text="The mug is at shelf 1.", trial=1),))
    told = said("a", True, "left").model_copy(update={"in_view": lesson})
    found = contrasts([told, said("a", False, "right")])
    assert (found.examples, found.left_out) == ([], {"rests_on_lessons": 1, "one_sided": 1})
    assert len(contrasts([told, said("a", False, "right")], strip=False).examples) == 1
    # A failure is not imitated, whatever it rested on.
    misled = said("a", False, "right").model_copy(update={"in_view": lesson})
    assert len(contrasts([said("a", True, "left"), misled]).examples) == 1


def called(task: Task, *turns: str) -> Trajectory:
    """Return an attempt at a tool-call task, as its environment answers."""
    messages = act_prompt(environment(task.environment).instructions, Shown(), text_of(start(task)))
    for turn in turns:
        done = advance(task, messages, AIMessage(turn))
        messages += [AIMessage(turn), done.reply]
    assert done.verdict is not None
    return Trajectory(id=turns[-1], task=task, messages=tuple(messages), verdict=done.verdict)


def test_a_call_that_was_refused_is_not_imitated() -> None:
    every = Toolcalls()
    task = next(one for one in every.tasks("train", 500) if one.kind == "call")
    wanted = every.request(task.id).reference_calls[0]
    right, wrong = call(*wanted), call(wanted.name, {**wanted.arguments, "bogus": 1})
    corrected, refused = called(task, wrong, right), called(task, wrong, "<tool_call>")
    assert (corrected.verdict.success, refused.verdict.success) == (True, False)
    (example,) = successes([corrected]).examples
    roles = [turn["role"] for turn in example.row["messages"]]
    assert roles == ["system", "user", "assistant"]
    assert example.row["messages"][-1]["content"] == right
    (pair,) = contrasts([corrected, refused]).examples
    assert pair.row["chosen"] == [{"role": "assistant", "content": right}]
    assert pair.row["rejected"] == [{"role": "assistant", "content": wrong}]
    assert [turn["role"] for turn in pair.row["prompt"]] == ["system", "user"]


def test_the_transcripts_themselves_are_not_changed(attempts: list[Trajectory]) -> None:
    before = [attempt.model_dump_json() for attempt in attempts]
    successes(attempts), contrasts(attempts), challenges(attempts)
    assert [attempt.model_dump_json() for attempt in attempts] == before


@pytest.mark.parametrize("section", ["rules", "exemplars", "reflections", "plan", "last_attempt"])
def test_every_section_is_taken_out(section: str) -> None:
    system = act_prompt("Be good.", Shown(**{section: ["- something"]}), "Go.")[0]
    assert strip_view(str(system.text)) == "Be good."


def test_instructions_without_sections_stay_whole() -> None:
    assert strip_view("First.\n\nRules are not learned from other tasks: here.") == (
        "First.\n\nRules are not learned from other tasks: here."
    )


def test_a_contrast_is_the_first_turn_that_differs() -> None:
    solved, failed = said("a", True, "look", "left", "take"), said("a", False, "look", "right")
    (example,) = contrasts([failed, solved]).examples
    assert [turn["content"] for turn in example.row["prompt"]] == [
        "Act.", "Do a.", "look", "answer 1 to look",
    ]  # fmt: skip
    assert example.row["chosen"] == [{"role": "assistant", "content": "left"}]
    assert example.row["rejected"] == [{"role": "assistant", "content": "right"}]
    assert example.sources == (solved.id, failed.id)


@pytest.mark.parametrize(
    ("attempts", "reason"),
    [
        ([said("a", True, "left"), said("b", False, "right")], {"one_sided": 2}),
        ([said("a", True, "left"), said("a", False, "left", "up")], {"never_diverged": 1}),
        ([said("a", True, "left"), said("a", None, "right")], {"no_verdict": 1, "one_sided": 1}),
        ([said("a", True), said("a", False, "x")], {"no_turns": 1, "one_sided": 1}),
        (
            [said("a", True, "left", split="test"), said("a", False, "up", split="test")],
            {"held_out_split": 2},
        ),
    ],
)
def test_what_cannot_be_contrasted_is_counted(
    attempts: list[Trajectory], reason: dict[str, int]
) -> None:
    found = contrasts(attempts)
    assert (found.examples, dict(found.left_out)) == ([], reason)


def test_contrasts_of_real_attempts_share_their_prompt(attempts: list[Trajectory]) -> None:
    by_id = {attempt.id: attempt for attempt in attempts}
    examples = contrasts(attempts).examples
    assert len(examples) > 5
    for example in examples:
        success, failure = (by_id[source] for source in example.sources)
        assert success.task == failure.task
        assert success.verdict.success
        assert not failure.verdict.success
        assert example.row["prompt"][-1]["role"] == "user"


def test_a_challenge_names_its_task_once_unless_it_is_always_solved() -> None:
    attempts = [
        said("a", True, "x"), said("a", False, "y"),
        said("b", True, "1"), said("b", True, "2"), said("b", True, "3"),
    ]  # fmt: skip
    found = challenges(attempts)
    assert [example.row for example in found.examples] == [
        {"environment": "somewhere", "task": "a"}
    ]
    assert found.left_out == {"always_solved": 1}


def test_held_out_splits_give_nothing() -> None:
    held_out = list(pairs(3, "test"))
    for make in (successes, contrasts, challenges):
        assert make(held_out).examples == []
    assert environment(NORTH).task(held_out[0].task.id).split == "test"


def test_a_control_has_the_same_attempts_and_outcomes_dealt_out_anew(
    attempts: list[Trajectory],
) -> None:
    dealt = shuffle_verdicts(attempts, 0)
    assert [one.messages for one in dealt] == [one.messages for one in attempts]
    assert sum(bool(one.verdict.success) for one in dealt) == sum(
        bool(one.verdict.success) for one in attempts
    )
    assert [one.verdict for one in dealt] != [one.verdict for one in attempts]
    assert dealt == shuffle_verdicts(attempts, 0) != shuffle_verdicts(attempts, 1)
