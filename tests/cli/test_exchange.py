"""Attempts in and out of the real memory, from the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from apprentice.memory.experience.edge import EdgeEngine
from apprentice.memory.experience.engine import Where
from apprentice.memory.experience.points import document_id
from tests.cli.conftest import Apprentice
from tests.memory.experience.attempts import Words

TALK = [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "2"}]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_is_imported_is_exported(apprentice: Apprentice, tmp_path: Path) -> None:
    file = tmp_path / "sent.jsonl"
    rows = [
        {"id": "a", "messages": TALK, "success": True, "ticket": 7},
        {"id": "b", "messages": TALK, "success": False},
        {"id": "c", "messages": "[1 + 1?]"},
        {"id": "d", "messages": TALK},
    ]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    done = apprentice("import", file, "--environment", "sums", "--report", tmp_path / "all.json")
    assert done.exit_code == 0
    assert "4 rows: 3 new (1 of them without a verdict), 0 known" in done.output
    where = "They are in the memory of the tenant default, in sums (3 attempts)."
    assert where in done.output
    assert "Refused, line 3: The messages are a text, but must be a list." in done.output
    assert "without a meaning here, stored as metadata: ticket." in done.output
    assert json.loads((tmp_path / "all.json").read_text())["refusals"][0][0] == "line 3"
    again = apprentice("import", file)
    assert "3 known" in again.output
    assert where in again.output
    apprentice("export", tmp_path / "out.jsonl")
    assert sorted(row["id"] for row in lines(tmp_path / "out.jsonl")) == ["a", "b", "d"]
    apprentice("export", tmp_path / "bad.jsonl", "--outcome", "failures", "--environment", "sums")
    (row,) = lines(tmp_path / "bad.jsonl")
    assert (row["id"], row["messages"]) == ("b", TALK)
    other = apprentice("export", tmp_path / "none.jsonl", "--tenant", "other")
    assert "0 attempts" in other.output


def test_what_cannot_be_read_is_left_out_of_an_export_and_named(
    apprentice: Apprentice, tmp_path: Path
) -> None:
    file = tmp_path / "sent.jsonl"
    rows = [{"id": name, "messages": TALK, "success": True} for name in "abc"]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    apprentice("import", file)
    asyncio.run(break_document(apprentice.workspace.experiences.folder, "b"))
    done = apprentice("export", tmp_path / "out.jsonl")
    assert done.exit_code == 1
    assert "2 attempts were written, 1 were left out:" in done.output
    assert "The trajectory 'b' in the experience memory cannot be read (usage.seconds:" in (
        done.output
    )
    assert sorted(row["id"] for row in lines(tmp_path / "out.jsonl")) == ["a", "c"]


async def break_document(folder: Path, name: str) -> None:
    """Make a stored attempt one that cannot be read."""
    engine = EdgeEngine.open(folder, "words", lambda: Words.dimension)
    (point,) = await engine.fetch([document_id("default", name)])
    document = json.loads(point.payload["document"])
    document["usage"]["seconds"] = None
    where = Where({"trajectory": [name], "point": ["document"]})
    await engine.change(where, {"document": json.dumps(document)})
    await engine.close()


def test_a_data_set_goes_out_and_in(apprentice: Apprentice, tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    file = tmp_path / "sent.jsonl"
    file.write_text(json.dumps({"messages": TALK, "success": True}))
    apprentice("import", file)
    assert "1 attempt:" in apprentice("export", tmp_path / "set").output
    done = apprentice("import", tmp_path / "set", "--tenant", "other")
    assert "1 row: 1 new (0 of them without a verdict)" in done.output


def test_an_import_that_takes_nothing_in_has_failed(apprentice: Apprentice, tmp_path: Path) -> None:
    file = tmp_path / "sent.jsonl"
    file.write_text('{"messages": "1 + 1?"}\nno row\n')
    done = apprentice("import", file)
    assert done.exit_code == 1
    assert "2 rows: 0 new" in done.output
    assert "Refused, line 2: It is not JSON" in done.output
    assert "sent.jsonl could be imported. Correct the rows" in done.stderr
    file.write_text("")
    assert apprentice("import", file).exit_code == 0


def test_a_source_that_is_not_there_makes_no_memory(
    apprentice: Apprentice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert apprentice("import", "none.jsonl").exit_code == 2
    monkeypatch.setenv("LANGSMITH_ENDPOINT", "http://127.0.0.1:9")
    refused = apprentice("import", "langsmith:helpdesk")
    assert refused.exit_code == 1
    assert "LangSmith cannot be reached at http://127.0.0.1:9." in refused.stderr
    assert not (tmp_path / "data").exists()


def test_an_export_writes_over_nothing_unless_told_to(
    apprentice: Apprentice, tmp_path: Path
) -> None:
    file, kept = tmp_path / "sent.jsonl", tmp_path / "kept.jsonl"
    file.write_text(json.dumps({"id": "a", "messages": TALK, "success": True}))
    apprentice("import", file)
    kept.write_text("mine")
    refused = apprentice("export", kept)
    assert (refused.exit_code, "--replace" in refused.stderr) == (2, True)
    assert kept.read_text() == "mine"
    assert apprentice("export", kept, "--replace").exit_code == 0
    assert [row["id"] for row in lines(kept)] == ["a"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("import", "none.jsonl"), "none.jsonl cannot be read (No such file"),
        (("import", "x.jsonl", "--feedback", "ok"), "are for langsmith:PROJECT"),
        (("import", "x.jsonl", "--tenant", ""), "The setting 'tenant'"),
        (("export", "x.jsonl", "--outcome", "success"), "Did you mean 'successes'?"),
        (("export", ".."), "is not empty"),
        (("export", "kept.json"), "kept.json exists already. Name a new"),
    ],
)
def test_a_mistake_is_a_sentence(
    apprentice: Apprentice, arguments: tuple[str, ...], says: str
) -> None:
    Path("kept.json").write_text("{}")
    done = apprentice(*arguments)
    assert done.exit_code == 2
    assert says in done.output
