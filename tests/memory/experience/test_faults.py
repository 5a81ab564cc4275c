"""Kills, damage, foreign folders, other embeddings, no server: nothing is lost, errors help."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from qdrant_client import AsyncQdrantClient

from apprentice.memory.experience.edge import EdgeEngine
from apprentice.memory.experience.qdrant import QdrantExperience
from apprentice.memory.experience.server import ServerEngine
from apprentice.settings import Settings
from apprentice.state.errors import BrokenData, MissingPart
from apprentice.workspace import Workspace
from tests.memory.experience.attempts import Words, attempt, task
from tests.memory.experience.conftest import _dimension


def at(folder: Path) -> EdgeEngine:
    return EdgeEngine.open(folder, "words", lambda: Words.dimension)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two attempts, closed."""
    folder = tmp_path_factory.mktemp("closed") / "experience"

    async def fill() -> None:
        engine = at(folder)
        await QdrantExperience(engine, Words(), "team").record(
            [attempt(task("a")), attempt(task("b"))]
        )
        await engine.close()

    asyncio.run(fill())
    return folder


@pytest.fixture
def folder(closed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(closed, tmp_path / "experience"))


def killed_while_recording(folder: Path, first: int, moments: random.Random) -> int:
    """Kill a process that records; return the last number that it reported as recorded."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.memory.experience.survivor", str(folder), str(first)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    last = first - 1
    for _ in range(moments.randint(1, 30)):
        last = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    rest = process.stdout.read().split()
    process.stdout.close()
    process.wait()
    return int(rest[-1]) if rest else last


async def survives(folder: Path, kills: int) -> None:
    moments = random.Random(kills)
    first, acknowledged = 0, set[str]()
    for _ in range(kills):
        last = await asyncio.to_thread(killed_while_recording, folder, first, moments)
        for number in range(first, last + 1):
            acknowledged |= (
                {f"{number}"} if number % 3 else {f"{number}{x}" for x in ("", "b", "c")}
            )
        first = last + 1
    engine = at(folder)
    memory = QdrantExperience(engine, Words(), "team")
    kept = [each.trajectory.id async for each in memory.browse()]
    report = await memory.report()
    await engine.close()
    assert len(kept) == len(set(kept))
    assert acknowledged <= set(kept)
    # An attempt that was not reported is stored completely or not at all.
    assert {name.rstrip("bc") for name in set(kept) - acknowledged} <= {str(first)}
    assert report.steps == 2 * report.attempts


async def test_recorded_attempts_survive_a_kill(tmp_path: Path) -> None:
    await survives(tmp_path / "experience", 3)


@pytest.mark.soak
async def test_recorded_attempts_survive_two_hundred_kills(tmp_path: Path) -> None:
    await survives(tmp_path / "experience", 200)


def test_a_second_process_is_told_who_holds_the_folder(folder: Path) -> None:
    engine = at(folder)
    with pytest.raises(MissingPart, match=f"{folder} is held by process {os.getpid()}"):
        at(folder)
    other = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import sys; from pathlib import Path; from memory.experience.edge import EdgeEngine;"
            "EdgeEngine.open(Path(sys.argv[1]), 'words', lambda: 64)",
            str(folder),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"is held by process {os.getpid()}" in other.stderr
    assert "QDRANT_URL" in other.stderr
    asyncio.run(engine.close())
    asyncio.run(at(folder).close())


@pytest.mark.parametrize(
    ("mark", "says"),
    [
        ('{"schema_version": 7, "embedding": "words", "dimension": 64}', "has schema version 7"),
        ('{"schema_version": 1}', "has a layout that cannot be read"),
        ("not JSON", "has no readable layout"),
        ("[]", "has no readable layout"),
        (None, "lacks experience.json"),
    ],
)
def test_an_unknown_layout_is_named(folder: Path, mark: str | None, says: str) -> None:
    file = folder / "shard" / "experience.json"
    if mark is None:
        file.unlink()
    else:
        file.write_text(mark)
    with pytest.raises(BrokenData, match=says) as raised:
        at(folder)
    assert str(folder) in str(raised.value)


def test_a_foreign_folder_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(
        BrokenData, match=r"holds 'thesis.txt', which belongs to no experience memory"
    ):
        at(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_damaged_folder_is_an_error_and_is_not_changed(folder: Path) -> None:
    for segment in (folder / "shard" / "segments").iterdir():
        (segment / "segment.json").write_text("{")
    before = {path: path.read_bytes() for path in (folder / "shard" / "segments").glob("*/*.json")}
    with pytest.raises(BrokenData, match="cannot be opened"):
        at(folder)
    assert {path: path.read_bytes() for path in before} == before


def test_an_incomplete_memory_is_created_again(tmp_path: Path) -> None:
    half_made = tmp_path / "shard-half-made"
    half_made.mkdir()
    (half_made / "edge_config.json").write_text("{")
    asyncio.run(at(tmp_path).close())
    assert json.loads((tmp_path / "shard" / "experience.json").read_text())["dimension"] == 64


async def test_other_embeddings_are_refused(folder: Path) -> None:
    with pytest.raises(BrokenData, match=r"was made with the embeddings 'words' \(64 dimensions\)"):
        EdgeEngine.open(folder, "openai:other", lambda: 3)
    engine = at(folder)
    changed = QdrantExperience(engine, Words(dimension=32), "team")
    with pytest.raises(
        BrokenData, match="have 32 dimensions, but the experience memory was created"
    ):
        await changed.record([attempt(task("c"))])
    assert len([each async for each in changed.browse()]) == 2
    await engine.close()


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
async def test_a_collection_of_another_layout_is_refused() -> None:
    client = AsyncQdrantClient(":memory:")
    await ServerEngine.open(client, "words", _dimension)
    with pytest.raises(BrokenData, match="was made with the embeddings 'words'"):
        await ServerEngine.open(client, "openai:other", _dimension)
    await client.delete_collection("apprentice-experience")
    await client.create_collection("apprentice-experience", vectors_config={})
    with pytest.raises(BrokenData, match="'apprentice-experience' has no readable layout"):
        await ServerEngine.open(client, "words", _dimension)
    await client.close()


async def test_an_unreachable_server_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    settings = Settings(qdrant_url="http://127.0.0.1:9")
    workspace = Workspace(tmp_path, settings=settings, embeddings=Words())
    with pytest.raises(MissingPart, match="at QDRANT_URL cannot be reached"):
        await workspace.experience("team")


async def test_a_memory_is_opened_once(workspace: Workspace) -> None:
    memories = await asyncio.gather(*(workspace.experience("team") for _ in range(8)))
    other = await workspace.experience("rival")
    assert len(set(map(id, memories))) == 1
    await memories[0].record([attempt(task("a"))])
    assert [each async for each in other.browse()] == []
    await workspace.close()
    again = await workspace.experience("team")
    assert [each.trajectory.id async for each in again.browse()] == ["of-a"]
