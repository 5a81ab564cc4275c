"""`apprentice evaluate`: what it counts, keeps, resumes and refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from apprentice.cli import journal
from apprentice.cli.journal import TaskResult
from apprentice.cli.techniques import reflector_of_others
from apprentice.state.errors import ModelFailure
from apprentice.state.trajectory import Reflection, Task, text_of, transcript
from apprentice.testing import Scripted
from tests.cli import pupil
from tests.cli.conftest import Apprentice

FULL = ("--environment", "household/north/full", "--trials", "3", "--limit", "12")


def figures(path: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(path).read_text())
    return found


def test_rows_and_figures_agree_with_the_transcripts(apprentice: Apprentice) -> None:
    assert apprentice("evaluate", *FULL, "--json", "a.json").exit_code == 0
    found = figures("a.json")
    _, finished = journal.read(Path("a.json"))
    assert len(finished) == found["summary"]["tasks"] == 12
    assert set(found["rows"][0]) == {
        "id", "task", "environment", "family", "trial", "success", "score", "steps", "calls",
        "tokens", "seconds",
    }  # fmt: skip
    attempts = {each.id: each for done in finished for each in done.attempts}
    assert {row["id"] for row in found["rows"]} == set(attempts)
    for row in found["rows"]:
        turns = [m for m in attempts[row["id"]].messages if m.type == "ai"]
        assert row["steps"] == row["calls"] == len(turns)
        assert row["success"] == attempts[row["id"]].verdict.success
        assert row["score"] == float(row["success"])
        assert row["tokens"] > 0
    solved = [{row["task"] for row in found["rows"] if row["success"] and row["trial"] <= trial}
              for trial in (1, 2, 3)]  # fmt: skip
    counted = [successes for successes, *_ in found["summary"]["by_trial"]]
    assert counted == [len(tasks) for tasks in solved]
    families = found["summary"]["by_family"]
    assert {family: share[1] for family, share in families.items()} == dict.fromkeys(
        ("clean", "cool", "heat", "light", "pick", "two"), 2
    )


def test_own_reflections_help_where_repetition_and_others_do_not(apprentice: Apprentice) -> None:
    solved: dict[str, int] = {}
    for technique in ("reflexion", "none", "others-reflections"):
        options = ("--technique", technique, "--reflections", "reflexion.json")
        assert apprentice("evaluate", *FULL, *options, "--json", f"{technique}.json").exit_code == 0
        first, *_, last = figures(f"{technique}.json")["summary"]["by_trial"]
        solved[technique] = last[0] - first[0]
    assert solved["none"] == 0
    assert solved["reflexion"] >= 3 > solved["others-reflections"]


def test_borrowed_reflections_are_others_and_as_many(apprentice: Apprentice) -> None:
    apprentice("evaluate", *FULL, "--json", "own.json")
    options = ("--technique", "others-reflections", "--reflections", "own.json")
    apprentice("evaluate", *FULL, *options, "--json", "others.json")
    _, own = journal.read(Path("own.json"))
    _, others = journal.read(Path("others.json"))
    texts = {done.task.id: [each.text for each in done.reflections] for done in own}
    lent = [done for done in others if done.reflections]
    assert lent
    for done in lent:
        assert len(done.reflections) == len(done.attempts) - 1
        for each in done.reflections:
            lenders = [task for task, every in texts.items() if each.text in every]
            assert lenders
            assert lenders != [done.task.id]


def test_what_is_lent_is_as_long_as_a_tasks_own() -> None:
    def done(number: int, kind: str, *lengths: int) -> TaskResult:
        task = Task(id=f"test/{number}", environment="household/north/small", kind=kind)
        lessons = (Reflection(text=f"{number}" * each, trial=1) for each in lengths)
        return TaskResult(task=task, outcome="failed", reflections=tuple(lessons))

    own = done(0, "pick", 100, 40)
    twin = own.model_copy(  # another world's task of the same name is another task
        update={"task": own.task.model_copy(update={"environment": "household/south/small"})}
    )
    donors = [own, done(1, "pick", 60, 104), done(2, "heat", 100, 41), done(3, "pick", 42)]
    lend = reflector_of_others(own.task, donors)
    # Of the same kind within a tenth; then the nearest; after its own last one, as long as that.
    assert [lend("") for _ in range(6)] == ["1" * 104, "3" * 42, "2" * 41, "1" * 60, "2" * 100, ""]
    assert reflector_of_others(own.task, [own])("") == ""
    assert reflector_of_others(own.task, [own, twin])("") == "0" * 100
    assert reflector_of_others(done(9, "pick").task, donors)("")  # one that never had to reflect


def test_what_reflecting_took_is_told_beside_the_attempts(apprentice: Apprentice) -> None:
    result = apprentice("evaluate", *FULL, "--json", "a.json")
    found = figures("a.json")["summary"]
    _, finished = journal.read(Path("a.json"))
    assert found["reflecting"]["calls"] == sum(len(done.reflections) for done in finished) > 0
    assert found["reflecting"]["input_tokens"] > found["reflecting"]["calls"]
    assert found["calls"] == sum(row["calls"] for row in figures("a.json")["rows"])
    page = " ".join(result.output.split())
    assert f"Writing reflections took another {found['reflecting']['calls']} calls" in page
    quiet = apprentice("evaluate", *FULL, "--technique", "none", "--json", "b.json")
    assert "Reflecting" not in quiet.output


def test_the_length_of_a_turn_and_the_window_are_the_callers(
    apprentice: Apprentice, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: set[int] = set()

    def asked(name: str, *, max_tokens: int = 128, **settings: Any) -> Scripted:
        lengths.add(max_tokens)
        return Scripted(lambda messages: "A lesson." if len(messages) == 2 else "look")

    apprentice.chat = asked
    options = ("--limit", "1", "--trials", "4", "--max-tokens", "1000", "--window", "1")
    assert apprentice("evaluate", *options, "--json", "a.json").exit_code == 0
    assert 1000 in lengths
    _, (done,) = journal.read(Path("a.json"))
    shown = [len(attempt.in_view.reflections) for attempt in done.attempts]
    assert shown == [0, 1, 1, 1]


def test_a_task_that_was_solved_as_the_run_was_killed_is_not_taken_for_known(
    apprentice: Apprentice,
) -> None:
    options = ("evaluate", *FULL, "--tenant", "mine", "--concurrency", "1")
    apprentice(*options, "--tenant", "other", "--json", "whole.json")
    whole = {row["task"]: row for row in figures("whole.json")["rows"]}
    _, finished = journal.read(Path("whole.json"))
    last = next(n for n, done in enumerate(finished, 1) if done.solved_at and done.reflections)
    assert apprentice(*options, "--limit", str(last), "--json", "a.json").exit_code == 0
    lines = Path("a.jsonl").read_bytes()
    Path("a.jsonl").write_bytes(lines[:-20])  # a killed process leaves a part of the last line
    *_, torn = journal.read(Path("a.json"))
    assert len(torn) == last - 1
    assert apprentice(*options, "--json", "a.json").exit_code == 0
    assert figures("a.json")["summary"]["by_trial"] == figures("whole.json")["summary"]["by_trial"]
    resumed = {row["task"]: row for row in figures("a.json")["rows"]}
    assert {task: row["trial"] for task, row in resumed.items()} == {
        task: row["trial"] for task, row in whole.items()
    }
    again = apprentice(*options, "--trials", "2", "--json", "b.json")  # another evaluation
    assert again.exit_code == 0
    assert (
        figures("b.json")["summary"]["by_trial"][0][0]
        == figures("a.json")["summary"]["by_trial"][-1][0]
    )


def test_finished_tasks_are_not_repeated(
    apprentice: Apprentice, monkeypatch: pytest.MonkeyPatch
) -> None:
    apprentice("evaluate", "--limit", "6", "--json", "a.json")
    before = figures("a.json")["rows"]
    asked: list[str] = []

    def counting(name: str, **settings: Any) -> Scripted:
        asked.append(name)
        return Scripted(pupil.pupil)

    apprentice.chat = counting
    again = apprentice("evaluate", "--limit", "6", "--json", "a.json")
    assert again.exit_code == 0
    assert "Finished before: 6 tasks." in again.output
    assert len(asked) == 1  # the check that the model exists
    assert figures("a.json")["rows"] == before
    more = apprentice("evaluate", "--limit", "8", "--json", "a.json")
    assert more.exit_code == 0
    assert figures("a.json")["summary"]["tasks"] == 8
    assert [row for row in figures("a.json")["rows"] if row in before] == before


def test_a_model_that_fails_half_way_keeps_what_was_done(
    apprentice: Apprentice, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = 0

    def failing(messages: Any) -> str:
        nonlocal turns
        turns += 1
        if turns > 60:
            raise ModelFailure("The model 'local:novice' refused to answer (out of quota).")
        return pupil.pupil(messages)

    model = Scripted(failing)
    apprentice.chat = lambda name, **settings: model
    options = ("evaluate", "--limit", "12", "--concurrency", "2", "--json", "a.json")
    failed = apprentice(*options)
    assert failed.exit_code == 1
    assert "refused to answer (out of quota)" in failed.output
    assert "The same command continues" in failed.output
    _, kept = journal.read(Path("a.json"))
    assert 1 < len(kept) < 12
    apprentice.chat = pupil.chat
    assert apprentice(*options).exit_code == 0
    _, finished = journal.read(Path("a.json"))
    assert finished[: len(kept)] == kept
    assert len(finished) == 12


def test_the_tenant_is_fresh_unless_it_is_named(apprentice: Apprentice) -> None:
    options = ("evaluate", "--limit", "6", "--trials", "3")
    for name in ("a.json", "b.json"):
        apprentice(*options, "--json", name)
    assert not Path("data").exists()
    attempts = figures("a.json")["summary"]["attempts"]
    assert figures("b.json")["summary"]["attempts"] == attempts
    for name in ("c.json", "d.json"):
        apprentice(*options, "--tenant", "mine", "--json", name)
    assert figures("c.json")["summary"]["attempts"] == attempts
    assert figures("d.json")["summary"]["attempts"] == 0  # all were solved before
    assert figures("d.json")["summary"]["by_trial"][0][0] == 6
    apprentice(*options, "--tenant", "another", "--json", "e.json")
    assert figures("e.json")["summary"]["attempts"] == attempts


def test_cache_answers_the_same_evaluation_without_the_model(
    apprentice: Apprentice, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    def counting(messages: Any) -> str:
        nonlocal asked
        asked += 1
        return pupil.pupil(messages)

    apprentice.chat = lambda name, **settings: Scripted(counting)
    options = ("evaluate", "--limit", "4", "--cache", "--technique", "none")
    apprentice(*options, "--json", "a.json")
    first = asked
    apprentice(*options, "--json", "b.json")
    assert first > 0
    assert asked == first
    for key in ("tasks", "attempts", "by_trial", "by_family", "calls"):
        assert figures("a.json")["summary"][key] == figures("b.json")["summary"][key]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--environment", "houshold"), "Unknown environment 'houshold'. Did you mean"),
        (("--split", "tset"), "Did you mean 'test'?"),
        (("--technique", "reflection"), "Unknown technique 'reflection'. Did you mean 'reflexion'"),
        (("--trials", "0"), "is 0, but must lie between 1 and 100"),
        (("--trials", "1000000"), "is 1000000, but must lie between 1 and 100"),
        (("--max-tokens", "5"), "'max_tokens' is 5, but must lie between 8 and 4096"),
        (("--window", "11"), "'window' is 11, but must lie between 1 and 10"),
        (("--limit", "0"), "is 0, but must lie between 1 and 100000"),
        (("--temperature", "3"), "is 3.0, but must lie between 0 and 2"),
        (("--seed", "-1"), "Input should be greater than or equal to 0"),
        (("--technique", "others-reflections"), "name its file with --reflections"),
        (("--trials", "many"), "valid integer"),
        (
            ("--reflections", "x.json", "--technique", "others-reflections"),
            "x.jsonl cannot be read",
        ),
        (("--json", "/dev/null/x.json"), "cannot be written"),
        (("--exemplars", "5"), "'reflexion' shows no exemplars: leave out --exemplars"),
        (
            ("--technique", "exemplar", "--exemplars", "5", "--tenant", "mine"),
            "A tenant's exemplars are its recorded attempts: leave out --exemplars",
        ),
    ],
)
def test_bad_input_is_a_sentence_and_leaves_nothing_behind(
    apprentice: Apprentice, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    result = apprentice("evaluate", *options)
    assert result.exit_code == 2
    page = " ".join(re.sub(r"│|\x1b\[[0-9;]*m", " ", result.output).split())
    assert said in page  # what Typer says comes in a coloured box
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("nonsense", 2, "'nonsense' names no model"),
        ("local:../secrets", 2, "is no local model name"),
        ("local:nobody", 2, "Unknown local model 'nobody'"),
        ("opnai:gpt-5-mini", 2, "Did you mean 'openai'?"),
        ("openai:gpt-5-mini", 1, "OPENAI_API_KEY"),
    ],
)
def test_a_model_that_cannot_be_is_a_sentence(
    name: str,
    code: int,
    said: str,
    apprentice: Apprentice,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    apprentice.chat = None
    result = apprentice("evaluate", "--model", name)
    assert result.exit_code == code
    assert said in result.output
    assert "continues" not in result.output
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_another_evaluation_s_file_is_not_overwritten(apprentice: Apprentice) -> None:
    apprentice("evaluate", "--limit", "2", "--json", "a.json")
    before = Path("a.jsonl").read_bytes()
    result = apprentice("evaluate", "--limit", "2", "--trials", "2", "--json", "a.json")
    assert result.exit_code == 2
    assert "has another evaluation: its trials is 6, not 2" in result.output
    assert Path("a.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("answer", "trials"),
    [("", 2), ("I am not sure what to do here, sorry.", 2), ("go to nowhere " * 3000, 2)],
)
def test_a_model_that_writes_no_command_fails_its_tasks_and_nothing_else(
    answer: str, trials: int, apprentice: Apprentice, monkeypatch: pytest.MonkeyPatch
) -> None:
    apprentice.chat = lambda name, **settings: Scripted(lambda _: answer)
    result = apprentice("evaluate", "--limit", "3", "--trials", str(trials), "--json", "a.json")
    assert result.exit_code == 0
    assert figures("a.json")["summary"]["by_trial"][-1][0] == 0
    assert figures("a.json")["summary"]["attempts"] == 3 * trials


def test_exemplars_come_from_solved_training_tasks(apprentice: Apprentice) -> None:
    options = ("--limit", "4", "--exemplars", "3", "--json", "a.json")
    said = apprentice("evaluate", "--technique", "exemplar", *options)
    assert said.exit_code == 0
    plan, finished = journal.read(Path("a.json"))
    assert (plan.trials, plan.exemplars, len(finished)) == (1, 3, 4)
    (practice,) = Path().glob("practice-*.jsonl")
    asked, practised = journal.read(practice)
    assert (asked.split, asked.technique) == ("train", "reflexion")
    solved = [each for done in practised for each in done.attempts if each.verdict.success]
    known = {each.id for each in solved[:3]}
    for done in finished:
        (attempt,) = done.attempts
        seen = set(attempt.in_view.exemplars)
        assert seen
        assert seen <= known
        for shown in (each for each in solved if each.id in seen):
            assert transcript(shown.messages) in text_of(attempt.messages[0])


@pytest.mark.parametrize("first", ["exemplar", "reflexion"])
def test_a_named_tenants_experience_grows_with_what_is_evaluated(
    apprentice: Apprentice, first: str
) -> None:
    mine, training = ("--tenant", "mine", "--limit", "3"), ("--split", "train", "--trials", "1")
    apprentice("evaluate", *mine, *training, "--technique", first, "--json", "a.json")
    apprentice("evaluate", *mine, "--technique", "exemplar", "--json", "b.json")
    trained, tested = (
        [done.attempts[0] for done in journal.read(Path(name))[1]] for name in ("a.json", "b.json")
    )
    solved = {each.id for each in trained if each.verdict.success}
    assert solved
    assert {id_ for each in tested for id_ in each.in_view.exemplars} <= solved
    assert all(each.in_view.exemplars for each in tested)


def test_a_model_that_solves_too_little_is_told(
    apprentice: Apprentice, monkeypatch: pytest.MonkeyPatch
) -> None:
    apprentice.chat = lambda name, **settings: Scripted(lambda _: "look")
    options = ("--limit", "1", "--exemplars", "2", "--json", "a.json")
    result = apprentice("evaluate", "--technique", "exemplar", *options)
    assert result.exit_code == 2
    assert "solved only 0 training tasks, so the memory cannot have 2 exemplars" in result.output
