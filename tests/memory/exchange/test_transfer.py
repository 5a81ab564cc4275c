"""Import into the real memory and export from it, with a report of what was refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from apprentice.memory.exchange.files import (
    Item,
    read_dataset,
    read_jsonl,
    write_dataset,
    write_jsonl,
)
from apprentice.memory.exchange.transfer import (
    BATCH,
    ImportReport,
    Refusal,
    export_attempts,
    import_attempts,
    left_out,
)
from apprentice.memory.experience.edge import EdgeEngine
from apprentice.memory.experience.engine import Where
from apprentice.memory.experience.qdrant import QdrantExperience
from apprentice.state.errors import BadInput, BrokenData
from apprentice.state.experience import Query
from apprentice.state.trajectory import Task, Trajectory, Verdict
from tests.memory.exchange.conftest import Opener
from tests.memory.experience.attempts import FAILED, SOLVED, attempt, task

LATE = Verdict(success=False, feedback="It came back.", source="late")


def row(number: int, **more: Any) -> dict[str, Any]:
    said = [("user", f"What is {number} + 1?"), ("assistant", f"{number + 1}")]
    return {"messages": said, "success": True, **more}


def items(*rows: Any) -> list[Item]:
    return [Item(f"line {number}", each) for number, each in enumerate(rows, 1)]


async def record(memory: QdrantExperience, *attempts: Trajectory) -> None:
    await memory.record(each.model_copy(update={"tenant": memory.tenant}) for each in attempts)


async def written(memory: QdrantExperience) -> list[dict[str, Any]]:
    return [each async for each in export_attempts(memory)]


async def test_rows_are_recorded_once(memory: QdrantExperience) -> None:
    given = items(*(row(number) for number in range(BATCH + 3)))
    told: list[int] = []
    first = await import_attempts(memory, given, "sums", told.append)
    count = BATCH + 3
    assert first == ImportReport(rows=count, new=count, environments={"sums": count})
    assert told == [BATCH, BATCH + 3]
    again = await import_attempts(memory, given, "sums")
    assert again == ImportReport(rows=count, duplicates=count, environments={"sums": count})
    query = Query(task=Task(id="x", environment="sums", instruction="What is 7 + 1?"), how="text")
    found = await memory.recall(query)
    assert "What is 7 + 1?" in found[0].text


async def test_nothing_is_dropped_silently(memory: QdrantExperience, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    lines = [
        json.dumps(row(1, id="a", ticket=9)),
        "",
        "{",
        json.dumps({"messages": []}),
        json.dumps(row(2, id="a")),
        json.dumps(row(1, id="a", ticket=9)),
        json.dumps(row(3, success=None)),
        "[" * 100_000,
        b"\xff".decode("latin-1"),
        json.dumps(row(4)),
    ]
    file.write_bytes("\n".join(lines).encode("latin-1"))
    report = await import_attempts(memory, read_jsonl(file))
    assert [each.where for each in report.refusals] == [
        "line 3", "line 4", "line 5", "line 8", "line 9",
    ]  # fmt: skip
    reasons = dict(report.refusals)
    assert "not JSON" in reasons["line 3"]
    assert "is empty" in reasons["line 4"]
    assert "the id 'a' of line 1, but another content" in reasons["line 5"]
    counts = (report.rows, report.new, report.duplicates, report.without_verdict)
    assert counts == (9, 3, 1, 1)
    assert report.rows == report.new + report.duplicates + len(report.refusals)
    assert report.extra_columns == ("ticket",)


async def test_a_line_that_is_too_long_is_refused_and_the_next_is_read(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"\xef\xbb\xbf[1]\n" + b"x" * 1_000 + b"\n[2]\n" + b"y" * 100 + b"\n[3]")
    read = list(read_jsonl(file, longest=100))
    assert [each.where for each in read] == [f"line {number}" for number in range(1, 6)]
    assert [each.row for each in read] == [[1], None, [2], None, [3]]
    assert read[1].fault == "It is longer than 100 bytes."
    assert "not JSON" in read[3].fault


async def test_a_missing_verdict_is_added(memory: QdrantExperience) -> None:
    await import_attempts(memory, items(row(1, success=None), row(2), row(3)))
    report = await import_attempts(
        memory, items(row(1), row(2, success=False), row(3, success=None))
    )
    assert (report.new, report.duplicates, report.verdicts_added) == (0, 2, 1)
    (refusal,) = report.refusals
    assert refusal.where == "line 2"
    assert "stored with another verdict (success True, score None)" in refusal.reason
    assert [each["success"] async for each in export_attempts(memory)].count(True) == 3


async def test_a_bad_row_does_not_stop_the_others(memory: QdrantExperience) -> None:
    deep: Any = "x"
    for _ in range(400):
        deep = [deep]
    bad = [{"note": "\ud83d"}, {"note": deep}, {"usage": {"seconds": float("nan")}}]
    bad += [{"ended_at": float("inf")}, {"verdicts": [{"verdict": {}, "at": 1.7e12}]}]
    given = [row(number, **more) for number, more in enumerate(bad)]
    report = await import_attempts(memory, items(row(98), *given, row(99)))
    assert (report.rows, report.new) == (7, 2)
    assert [each.where for each in report.refusals] == [f"line {number}" for number in range(2, 7)]
    assert len(await written(memory)) == 2


async def test_another_attempt_with_a_stored_id_is_refused(memory: QdrantExperience) -> None:
    await import_attempts(memory, items(row(1, id="a"), row(2, id="b", kind="sum")), "sums")
    history = [{"verdict": {"success": False}, "at": 5.0}]
    report = await import_attempts(
        memory,
        items(
            row(3, id="a", success=False),
            row(3, id="b", kind="sum", verdicts=history),
            row(1, id="a", task="another"),
            row(2, id="b", kind="product"),
        ),
    )
    assert (report.duplicates, report.verdicts_added) == (0, 0)
    assert [(where, reason.partition(" Send")[0]) for where, reason in report.refusals] == [
        ("line 1", "An attempt with the id 'a' is stored already, with other messages."),
        ("line 2", "An attempt with the id 'b' is stored already, with other messages."),
        ("line 3", "It has the id 'a' of line 1, but another content."),
        ("line 4", "It has the id 'b' of line 2, but another content."),
    ]
    other = await import_attempts(
        memory, items(row(1, id="a", task="another"), row(2, id="b", kind="x"))
    )
    assert all("stored already, with another task." in reason for _, reason in other.refusals)
    kept = {each["id"]: each["verdicts"] for each in await written(memory)}
    assert all(len(verdicts) == 1 for verdicts in kept.values())
    # A field that a row leaves out is not compared.
    same = await import_attempts(memory, items(row(1, id="a", note="new"), row(2, id="b")))
    assert (same.duplicates, same.refusals) == (2, ())


async def test_an_unreadable_attempt_does_not_stop_an_export(
    memory: QdrantExperience, engine: EdgeEngine
) -> None:
    await record(memory, *(attempt(task(name)) for name in "abc"))
    broken = Where({"tenant": [memory.tenant], "trajectory": ["of-b"], "point": ["document"]})
    kept = await memory.get("of-b")
    assert kept is not None
    document = json.loads(kept.trajectory.model_dump_json())
    document["usage"]["seconds"] = None
    await engine.change(broken, {"document": json.dumps(document)})
    unread: list[BrokenData] = []
    found = [each["id"] async for each in export_attempts(memory, on_unreadable=unread.append)]
    assert sorted(found) == ["of-a", "of-c"]
    (error,) = unread
    assert "'of-b' in the experience memory cannot be read (usage.seconds:" in str(error)
    assert "\n" not in str(error)
    with pytest.raises(BrokenData, match="of-b"):
        await memory.get("of-b")
    said = str(left_out(2, unread))
    assert said.startswith("2 attempts were written, 1 were left out:\nThe trajectory 'of-b'")
    report = await import_attempts(memory, items(row(1), row(2, id="of-b")))
    assert (report.new, [each.where for each in report.refusals]) == (1, ["line 2"])
    assert await memory.forget(["of-b"]) == ("of-b",)


@pytest.mark.parametrize("score", [2 / 11, 1 / 11, 0.1 + 0.2, 1 / 3, 0.9999999999999999])
async def test_a_backup_with_any_score_imports_as_duplicates(opened: Opener, score: float) -> None:
    memory, other = opened("team"), opened("other")
    await record(memory, attempt(task("a"), Verdict(success=False, score=score)))
    await memory.annotate("of-a", LATE, at=1848779119.3785357)
    backup = await written(memory)
    assert (await import_attempts(other, items(*backup))).new == 1
    assert await written(other) == backup
    for each in (memory, other):
        assert await import_attempts(each, items(*backup)) == ImportReport(
            rows=1, duplicates=1, environments={"shop": 1}
        )


async def test_an_export_is_a_backup(opened: Opener, tmp_path: Path) -> None:
    memory = opened("team")
    solved, failed = attempt(task("a")), attempt(task("b"), FAILED)
    await record(memory, solved, failed, attempt(task("c", split="test"), Verdict()))
    first = solved.id
    await memory.annotate(first, LATE)
    before = await written(memory)
    assert write_jsonl(tmp_path / "out.jsonl", before) == 3
    other = opened("other")
    report = await import_attempts(other, read_jsonl(tmp_path / "out.jsonl"))
    assert report == ImportReport(rows=3, new=3, without_verdict=1, environments={"shop": 3})
    assert sorted(await written(other), key=key) == sorted(before, key=key)
    again = await import_attempts(other, read_jsonl(tmp_path / "out.jsonl"))
    assert again == ImportReport(rows=3, duplicates=3, environments={"shop": 3})
    await memory.annotate(first, SOLVED)
    later = await import_attempts(other, items(*await written(memory)))
    assert (later.duplicates, later.verdicts_added) == (3, 1)
    kept = await other.get(first)
    assert kept is not None
    assert kept.trajectory.verdict == SOLVED


def key(row: dict[str, Any]) -> str:
    return str(row["id"])


async def test_filters_limit_the_export(memory: QdrantExperience) -> None:
    await record(memory, attempt(task("a")), attempt(task("b"), FAILED))
    assert [each["task"] async for each in export_attempts(memory, outcome="failures")] == ["b"]
    assert [each async for each in export_attempts(memory, environment="elsewhere")] == []


async def test_a_data_set_on_disk_holds_the_same_rows(
    memory: QdrantExperience, tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    await record(memory, attempt(task("a", metadata={"floor": 2})), attempt(task("b"), Verdict()))
    before = await written(memory)
    write_jsonl(tmp_path / "rows.jsonl", before)
    await asyncio.to_thread(write_dataset, tmp_path / "set", tmp_path / "rows.jsonl")
    loaded = datasets.load_from_disk(str(tmp_path / "set"))
    assert loaded["messages"][0][0] == {"role": "system", "content": "Act."}
    assert [item.row for item in read_dataset(tmp_path / "set")] == before
    report = await import_attempts(memory, read_dataset(tmp_path / "set"))
    assert report == ImportReport(rows=2, duplicates=2, environments={"shop": 2})
    file, nothing = tmp_path / "rows.jsonl", tmp_path / "nothing.jsonl"
    nothing.touch()
    for folder, from_, says in (
        (tmp_path / "set", file, "is not empty"),
        (file, file, "is a file. Name a new folder"),
        (file / "set", file, "cannot be written"),
        (tmp_path / "new", nothing, "no attempt to write"),
    ):
        with pytest.raises(BadInput, match=says):
            await asyncio.to_thread(write_dataset, folder, from_)


async def test_a_foreign_data_set_is_read(memory: QdrantExperience, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    talk = [[{"from": "human", "value": f"{n}?"}, {"from": "gpt", "value": "Yes."}] for n in (1, 2)]
    made = datasets.Dataset.from_dict({"conversations": talk, "score": [0.5, 7.0]})
    datasets.DatasetDict(train=made, test=made.select([0])).save_to_disk(str(tmp_path / "set"))
    report = await import_attempts(memory, read_dataset(tmp_path / "set"))
    assert report.refusals == (
        Refusal("train row 2", report.refusals[0].reason),
        Refusal("test row 1", report.refusals[1].reason),
    )
    assert "'score'" in report.refusals[0].reason
    assert "of train row 1, but another content" in report.refusals[1].reason


@pytest.mark.parametrize("content", [{}, {"state.json": "{}"}, {"dataset_info.json": "no"}])
def test_a_folder_that_is_no_data_set_is_an_error(tmp_path: Path, content: dict[str, str]) -> None:
    pytest.importorskip("datasets")
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(BrokenData, match="no Hugging Face data set"):
        list(read_dataset(tmp_path))


def test_a_failed_export_leaves_no_file(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    write_jsonl(file, [{"a": 1}])

    def broken() -> Iterable[dict[str, Any]]:
        yield {"a": 2}
        raise BrokenData("The memory cannot be read.")

    with pytest.raises(BrokenData):
        write_jsonl(file, broken())
    assert file.read_text() == '{"a": 1}\n'
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(BadInput, match="cannot be read"):
        list(read_jsonl(tmp_path / "none.jsonl"))
