"""The rooms are importable, typed and this project's own, editable and as a wheel."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from models.names import SHIPPED

HEAVY = ("peft", "textworld", "torch", "transformers", "trl")


@pytest.fixture(scope="module")
def settings(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def rooms(root: Path, settings: dict[str, Any]) -> list[str]:
    """The rooms that packaging names and that exist."""
    named = settings["tool"]["setuptools"]["packages"]["find"]["include"]
    return [name for name in named if (root / name / "__init__.py").is_file()]


def test_every_top_level_package_is_a_room_that_packaging_names(
    root: Path, rooms: list[str]
) -> None:
    packages = {path.parent.name for path in root.glob("*/__init__.py")} - {"tests", "examples"}
    assert packages == set(rooms)


def test_import_contracts_cover_every_room(settings: dict[str, Any], rooms: list[str]) -> None:
    assert sorted(settings["tool"]["importlinter"]["root_packages"]) == sorted(rooms)


def test_every_room_is_typed(root: Path, rooms: list[str]) -> None:
    assert [room for room in rooms if not (root / room / "py.typed").is_file()] == []


def test_rooms_are_this_projects(root: Path, rooms: list[str]) -> None:
    """`langgraph dev` only appends to the path, so another `models` could come first."""
    for room in rooms:
        file = importlib.import_module(room).__file__
        assert file is not None
        assert Path(file).resolve() == root / room / "__init__.py"


def test_importing_a_room_loads_nothing_heavy_and_sets_nothing(
    root: Path, rooms: list[str], tmp_path: Path
) -> None:
    """Import the ground floor and the command line in a bare process and look around."""
    script = (
        "import os, sys\n"
        "before = dict(os.environ)\n"
        f"for room in {rooms}: __import__(room)\n"
        "import state.nouns, state.prompts, cli.app\n"
        "assert dict(os.environ) == before, 'the environment was changed'\n"
        f"heavy = [name for name in {HEAVY} if name in sys.modules]\n"
        "assert not heavy, heavy\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


def test_wheel_holds_every_room_its_marker_and_its_data(
    root: Path, rooms: list[str], tmp_path: Path
) -> None:
    names = wheel_contents(root, tmp_path)
    for room in rooms:
        assert f"{room}/__init__.py" in names
        assert f"{room}/py.typed" in names
        assert {f"{room}/{path.relative_to(root / room)}" for path in sources(root / room)} <= names
    assert "environments/toolcalls/data/clinic.jsonl" in names
    for model in SHIPPED:
        weights = root / "models" / model / "weights"
        assert {f"models/{model}/weights/{path.name}" for path in weights.iterdir()} <= names
    strays = {name.split("/")[0] for name in names} - set(rooms)
    assert [stray for stray in strays if not stray.endswith(".dist-info")] == []


def test_the_command_is_installed_under_its_name(settings: dict[str, Any]) -> None:
    target = settings["project"]["scripts"]["apprentice"]
    module, _, function = target.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def sources(room: Path) -> list[Path]:
    return [path for path in room.rglob("*.py") if (path.parent / "__init__.py").is_file()]


def wheel_contents(root: Path, folder: Path) -> set[str]:
    """Build a wheel from a copy of the tracked files, offline, and list what is in it."""
    copy = folder / "source"
    copy.mkdir()
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=root, check=True, capture_output=True, text=True).stdout
    for name in filter(None, files.split("\0")):
        if (root / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, copy / name)
    build = "import setuptools.build_meta as b, sys; print(b.build_wheel(sys.argv[1]))"
    subprocess.run(
        [sys.executable, "-c", build, str(folder)], cwd=copy, check=True, capture_output=True
    )
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        return set(wheel.namelist())
