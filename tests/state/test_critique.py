"""Evidence from attempts, as ExpeL draws it."""

from __future__ import annotations

from collections import Counter

from apprentice.state.critique import (
    ELIDED,
    CritiqueEvidence,
    TaskAttempts,
    extract_evidence,
    shorten,
)
from apprentice.state.trajectory import Task, Trajectory, Verdict


def gathered(name: str, ended: str, kind: str = "pick") -> TaskAttempts:
    """Return a task whose attempts ended so: + or -, in order."""
    task = Task(id=name, environment="e", kind=kind)
    attempts = tuple(
        Trajectory(
            id=f"{name}{trial}",
            task=task,
            trial=trial,
            messages=(),
            verdict=Verdict(success={"+": True, "-": False, "?": None}[sign]),
        )
        for trial, sign in enumerate(ended, 1)
    )
    return TaskAttempts(task=task, outcome="solved", attempts=attempts)


def test_each_success_is_compared_with_each_failure_of_its_task() -> None:
    found = extract_evidence([gathered("a", "--+"), gathered("b", "---"), gathered("c", "+?")], 0)
    pairs = [each.trajectories for each in found if each.kind == "pair"]
    assert pairs == [("a3", "a1"), ("a3", "a2")]
    (chunk,) = (each.trajectories for each in found if each.kind == "successes")
    assert sorted(chunk) == ["a3", "c1"]


def test_chunks_are_shuffled_balanced_and_the_same_for_a_seed() -> None:
    tasks = [gathered(f"p{n}", "+") for n in range(12)]
    tasks += [gathered(f"h{n}", "+", "heat") for n in range(4)]
    first, second = (extract_evidence(tasks, 3)[n].trajectories for n in (0, 1))
    assert (len(first), len(second)) == (8, 8)
    assert Counter(name[0] for name in first) == {"p": 4, "h": 4}
    assert extract_evidence(tasks, 3) == extract_evidence(tasks, 3)
    assert extract_evidence(tasks, 3) != extract_evidence(tasks, 4)
    assert [len(each.trajectories) for each in extract_evidence(tasks, 3, chunk=6)] == [6, 6, 4]


def test_evidence_that_is_too_long_is_divided() -> None:
    several = CritiqueEvidence(kind="successes", trajectories=("a", "b", "c"))
    assert [half.trajectories for half in several.halves()] == [("a",), ("b", "c")]
    assert several.halves()[0].halves() == ()
    assert CritiqueEvidence(kind="pair", trajectories=("a", "b")).halves() == ()


def test_nothing_gathered_is_no_evidence() -> None:
    assert extract_evidence([], 0) == extract_evidence([gathered("a", "--")], 0) == []


def test_chunks_hold_what_there_is_room_for() -> None:
    tasks = [gathered(f"p{n}", "+") for n in range(7)]
    sizes = {f"p{n}1": 10 * (n + 1) for n in range(7)}  # 10 to 70
    found = extract_evidence(tasks, 3, size=lambda attempt: sizes[attempt.id], room=100)
    taken = [sum(sizes[name] for name in each.trajectories) for each in found]
    assert all(total <= 100 for total in taken)
    assert sorted(name for each in found for name in each.trajectories) == sorted(sizes)
    assert len(found) < 7
    alone = extract_evidence(tasks, 3, size=lambda attempt: sizes[attempt.id], room=5)
    assert [len(each.trajectories) for each in alone] == [1] * 7


def words(text: str) -> int:
    return len(text.split())


def test_a_transcript_that_is_too_long_loses_its_middle() -> None:
    long = "\n".join(f"line {number}" for number in range(20))
    short = "a b c"
    cut, same = shorten([long, short], words, 20)
    assert same == short
    assert words(cut) <= 17
    assert cut.startswith("line 0\nline 1\n")
    assert cut.endswith("\nline 18\nline 19")
    assert cut.count(ELIDED) == 1
    assert shorten([long, short], words, 100) == [long, short]
    assert shorten([long], words, 1) == [ELIDED]
