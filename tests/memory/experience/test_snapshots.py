"""A snapshot restores a memory completely, or changes nothing."""

from __future__ import annotations

import asyncio
import io
import shutil
import tarfile
from pathlib import Path

import pytest

from apprentice.memory.experience.edge import EdgeEngine
from apprentice.memory.experience.folder import HALF_MADE, REPLACED, SHARD
from apprentice.memory.experience.qdrant import QdrantExperience
from apprentice.memory.experience.snapshots import restore, save
from apprentice.state.errors import BadInput, BrokenData, MissingPart
from apprentice.state.experience import Query
from tests.memory.experience.attempts import Words, attempt, task


async def record(folder: Path, *names: str) -> None:
    engine = at(folder)
    await QdrantExperience(engine, Words(), "team").record([attempt(task(n)) for n in names])
    await engine.close()


async def recalled(folder: Path) -> set[str]:
    engine = at(folder)
    found = await QdrantExperience(engine, Words(), "team").recall(Query(task=task("new")))
    await engine.close()
    return {each.task.id for each in found}


def at(folder: Path) -> EdgeEngine:
    return EdgeEngine.open(folder, "words", lambda: Words.dimension)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a memory of one attempt, and its snapshot a.tar.gz beside it."""
    folder = tmp_path_factory.mktemp("saved")
    asyncio.run(record(folder / "home", "a"))
    save(folder / "home", folder / "a.tar.gz")
    return folder


@pytest.fixture
def home(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path, dirs_exist_ok=True)) / "home"


def names(folder: Path, pattern: str = "*") -> set[str]:
    return {path.name for path in folder.glob(pattern)}


async def test_a_snapshot_restores_the_memory(home: Path) -> None:
    file = home.with_name("a.tar.gz")
    await record(home, "b")
    assert await recalled(home) == {"a", "b"}
    with pytest.raises(BadInput, match="Restore with --replace to lose it"):
        restore(file, home)
    assert await recalled(home) == {"a", "b"}
    restore(file, home, over=True)
    restore(file, home.with_name("elsewhere"))
    assert await recalled(home) == await recalled(home.with_name("elsewhere")) == {"a"}
    assert {HALF_MADE, REPLACED}.isdisjoint(names(home))


async def test_a_killed_restore_is_undone(home: Path) -> None:
    (home / SHARD).rename(home / REPLACED)
    (home / HALF_MADE).mkdir()
    save(home, home.with_name("b.tar.gz"))
    assert await recalled(home) == {"a"}
    (home / REPLACED).mkdir()  # killed later, when the new shard was in its place
    assert await recalled(home) == {"a"}
    assert not (home / REPLACED).exists()


async def test_an_open_memory_is_neither_saved_nor_replaced(home: Path) -> None:
    engine = at(home)
    with pytest.raises(MissingPart, match="is held by process"):
        save(home, home.with_name("b.tar.gz"))
    with pytest.raises(MissingPart, match="is held by process"):
        restore(home.with_name("a.tar.gz"), home, over=True)
    await engine.close()
    assert not home.with_name("b.tar.gz").exists()


def packed(file: Path, name: str, text: str) -> None:
    with tarfile.open(file, "w:gz") as made:
        member = tarfile.TarInfo(name)
        member.size = len(text)
        made.addfile(member, io.BytesIO(text.encode()))


async def test_a_file_that_is_no_snapshot_changes_nothing(home: Path, tmp_path: Path) -> None:
    whole = home.with_name("a.tar.gz").read_bytes()
    (tmp_path / "half.tar.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.tar.gz").write_text("years of work")
    packed(tmp_path / "other.tar.gz", "memoirs.txt", "years of work")
    packed(tmp_path / "outside.tar.gz", "../../memoirs.txt", "years of work")
    packed(tmp_path / "newer.tar.gz", "shard/experience.json", '{"schema_version": 7}')
    for name, error, says in (
        ("half", BrokenData, "half.tar.gz cannot be read"),
        ("text", BrokenData, "text.tar.gz cannot be read"),
        ("other", BadInput, "is no snapshot of an experience memory"),
        ("outside", BrokenData, "outside.tar.gz cannot be read"),
        ("newer", BrokenData, "newer.tar.gz has schema version 7"),
        ("none", BadInput, "There is no snapshot"),
    ):
        with pytest.raises(error, match=says):
            restore(tmp_path / f"{name}.tar.gz", home, over=True)
    assert await recalled(home) == {"a"}
    assert not names(tmp_path.parent, "**/memoirs.txt")


def test_a_snapshot_needs_a_memory_and_a_new_file(home: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"a\.tar\.gz exists already"):
        save(home, tmp_path / "a.tar.gz")
    with pytest.raises(MissingPart, match="There is no experience memory in"):
        save(tmp_path / "nowhere", tmp_path / "b.tar.gz")
    for nowhere in (tmp_path / "no", tmp_path / "a.tar.gz"):
        with pytest.raises(BadInput, match="cannot be written"):
            save(home, nowhere / "folder.tar.gz")
