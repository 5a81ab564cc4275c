"""The memory looked after from the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from apprentice.memory.experience.edge import EdgeEngine
from tests.cli.conftest import Apprentice

TALK = [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "2"}]


def sent(file: Path, *names: str) -> Path:
    """Write attempts at one task, all of them alike."""
    rows = [
        {"id": name, "task": "train/0", "messages": TALK, "success": name != "failed"}
        for name in names
    ]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return file


def test_the_report_says_what_is_kept_and_tidying_what_it_did(
    apprentice: Apprentice, tmp_path: Path
) -> None:
    apprentice("import", sent(tmp_path / "sent.jsonl", "a", "b", "c", "failed"))
    page = apprentice("memory", "report").output
    assert "4 attempts of at most 100,000: 3 successes, 1 failure, 0 without a verdict." in page
    assert "0 that repeat a better one." in page
    tidied = apprentice("memory", "tidy", "--capacity", "2").output
    assert "Hidden, because they repeat a better one: 1 attempt. Deleted: 2." in tidied
    after = apprentice("memory", "report").output
    assert "2 attempts of at most 100,000" in after
    assert "1 that repeat a better one." in after
    assert "0 attempts" in apprentice("memory", "report", "--tenant", "other").output


def test_exemplars_that_were_shown_are_listed_with_how_they_fared(apprentice: Apprentice) -> None:
    mine = ("evaluate", "--technique", "exemplar", "--tenant", "mine", "--limit", "3")
    apprentice(*mine, "--split", "train", "--json", "a.json")
    apprentice(*mine, "--json", "b.json")
    page = apprentice("memory", "report", "--tenant", "mine").output
    assert "3 at held-out tasks," in page
    assert "The most shown attempts, of" in page
    assert any(row["id"] in page for row in json.loads(Path("a.json").read_text())["rows"])


def test_a_snapshot_is_restored_and_still_optimised(apprentice: Apprentice, tmp_path: Path) -> None:
    apprentice("import", sent(tmp_path / "sent.jsonl", "a"))
    assert apprentice("memory", "snapshot", "monday.tar.gz").exit_code == 0
    apprentice("import", sent(tmp_path / "more.jsonl", "b"))
    assert "--replace" in apprentice("memory", "restore", "monday.tar.gz").stderr
    assert apprentice("memory", "restore", "monday.tar.gz", "--replace").exit_code == 0
    assert "The indexes were built" in apprentice("memory", "optimize").output
    assert "1 attempt of" in apprentice("memory", "report").output


@pytest.mark.parametrize("command", ["report", "tidy", "optimize", "snapshot"])
def test_a_memory_that_a_server_has_open_is_a_sentence(
    apprentice: Apprentice, tmp_path: Path, command: str
) -> None:
    held = EdgeEngine.open((tmp_path / "data" / "experience").resolve(), "w", lambda: 64)
    done = apprentice("memory", command, *(["x.tar.gz"] if command == "snapshot" else []))
    held._lock.close()
    assert done.exit_code == 1
    assert "is held by process" in done.stderr
    assert "QDRANT_URL" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("restore", "none.tar.gz"), "There is no snapshot none.tar.gz"),
        (("report", "--tenant", ""), "The setting 'tenant'"),
    ],
)
def test_a_mistake_is_a_sentence(
    apprentice: Apprentice, arguments: tuple[str, ...], says: str
) -> None:
    done = apprentice("memory", *arguments)
    assert done.exit_code == 2
    assert says in done.stderr


def test_reading_makes_no_memory(apprentice: Apprentice, tmp_path: Path) -> None:
    said = apprentice("memory", "report")
    assert (said.exit_code, "The memory is empty" in said.output) == (0, True)
    for command in (
        *(("memory", name) for name in ("tidy", "optimize")),
        ("memory", "snapshot", "x.tar.gz"),
        ("export", "x.jsonl"),
    ):
        refused = apprentice(*command)
        assert (refused.exit_code, "There is no experience memory in" in refused.stderr) == (
            1,
            True,
        )
    assert apprentice("rules", "evidence", "zz").exit_code == 2
    assert not (tmp_path / "data" / "experience").exists()
    apprentice("import", sent(tmp_path / "sent.jsonl", "a"))
    assert apprentice("memory", "snapshot", "monday.tar.gz").exit_code == 0
    shutil.rmtree(tmp_path / "data")
    apprentice("memory", "report")
    assert apprentice("memory", "restore", "monday.tar.gz").exit_code == 0
    assert "1 attempt of" in apprentice("memory", "report").output


def test_a_qdrant_server_does_it_by_itself(tmp_path: Path) -> None:
    apprentice = Apprentice(tmp_path, qdrant_url="http://127.0.0.1:9")
    for arguments in (("optimize",), ("snapshot", "x.tar.gz"), ("restore", "x.tar.gz")):
        assert "makes its own snapshots" in apprentice("memory", *arguments).stderr
