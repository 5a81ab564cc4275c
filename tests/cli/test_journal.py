"""The journal: whole lines only, one writer, one plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from apprentice.cli import journal
from apprentice.cli.journal import Plan, TaskResult
from apprentice.state.errors import BadInput, BrokenData
from apprentice.state.trajectory import Reflection, Task


@pytest.fixture
def plan() -> Plan:
    return Plan(
        environment="household/north/small",
        split="test",
        technique="reflexion",
        model="local:novice",
        trials=3,
        temperature=0.0,
        limit=2,
    )


def finished(number: int) -> TaskResult:
    task = Task(id=f"test/{number}", environment="household/north/small")
    reflections = (Reflection(text="Look in the safe.\nThen “go”.", trial=1),)
    return TaskResult(task=task, outcome="failed", reflections=reflections)


def test_what_was_added_is_there_again(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.jsonl"
    with journal.open_journal(path, plan) as kept:
        kept.add(finished(0))
    with journal.open_journal(path, plan) as kept:
        assert list(kept.results.values()) == [finished(0)]
        kept.add(finished(1))
    read, tasks = journal.read(path)
    assert read.model_copy(update={"run": ""}) == plan
    assert tasks == [finished(0), finished(1)]


def test_a_run_keeps_its_name_and_another_file_is_another_run(plan: Plan, tmp_path: Path) -> None:
    names: list[str] = []
    for name in ("a", "a", "b"):
        with journal.open_journal(tmp_path / f"{name}.jsonl", plan) as kept:
            kept.add(finished(len(names)))
            names.append(kept.plan.run)
    assert names[0]
    assert names[0] == names[1] != names[2]


def test_a_torn_line_is_dropped_and_written_over(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with journal.open_journal(path, plan) as kept:
        kept.add(finished(0))
        kept.add(finished(1))
    whole = path.read_bytes()
    for torn in range(1, 80):
        path.write_bytes(whole[:-torn])
        assert journal.read(path)[1] == [finished(0)]
    with journal.open_journal(path, plan) as kept:
        kept.add(finished(1))
    assert path.read_bytes() == whole


def test_only_one_run_writes_it(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with (
        journal.open_journal(path, plan),
        pytest.raises(BadInput, match="Another run is writing"),
        journal.open_journal(path, plan),
    ):
        pass


def test_a_larger_limit_is_the_same_plan(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with journal.open_journal(path, plan) as kept:
        kept.add(finished(0))
    with journal.open_journal(path, plan.model_copy(update={"limit": 9})) as kept:
        assert set(kept.results) == {"test/0"}


@pytest.mark.parametrize("content", [b"not json\n", b"{}\n", b"\x00\x01\n", b"\xff\xfe\n", b"[]\n"])
def test_a_foreign_file_is_named_and_left_alone(content: bytes, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(BrokenData, match=r"a\.jsonl"):
        journal.read(path)
    with pytest.raises(BrokenData, match=r"a\.jsonl"), journal.open_journal(path, plan):
        pass
    assert path.read_bytes() == content
