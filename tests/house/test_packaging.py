"""The rooms are importable, typed and this project's own, editable and as a wheel."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from apprentice.models.names import SHIPPED
from tests.house.wheels import build

HEAVY = ("peft", "textworld", "torch", "transformers", "trl")


@pytest.fixture(scope="module")
def settings(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def rooms(root: Path) -> list[str]:
    """The folders that `apprentice/` links to."""
    return sorted(path.name for path in (root / "apprentice").iterdir() if path.is_symlink())


def test_every_package_at_the_top_is_a_room_or_is_not_installed(
    root: Path, rooms: list[str]
) -> None:
    packages = {path.parent.name for path in root.glob("*/__init__.py")}
    assert packages - {"apprentice", "benchmarks", "examples", "tests"} == set(rooms)


def test_every_room_is_imported_under_one_name_only(
    settings: dict[str, Any], rooms: list[str]
) -> None:
    banned = settings["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]
    assert sorted(banned) == rooms


def test_every_room_is_typed(root: Path, rooms: list[str]) -> None:
    assert [room for room in rooms if not (root / room / "py.typed").is_file()] == []
    assert (root / "apprentice" / "py.typed").is_file()


def test_rooms_are_this_projects(root: Path, rooms: list[str]) -> None:
    for room in rooms:
        file = importlib.import_module(f"apprentice.{room}").__file__
        assert file is not None
        assert Path(file).resolve() == root / room / "__init__.py"


def test_importing_a_room_loads_nothing_heavy_and_sets_nothing(
    root: Path, rooms: list[str], tmp_path: Path
) -> None:
    """Import the ground floor and the command line in a bare process and look around."""
    script = (
        "import os, sys\n"
        "before = dict(os.environ)\n"
        f"for room in {rooms}: __import__(f'apprentice.{{room}}')\n"
        "import apprentice.state.prompts, apprentice.cli.app\n"
        "assert dict(os.environ) == before, 'the environment was changed'\n"
        f"heavy = [name for name in {HEAVY} if name in sys.modules]\n"
        "assert not heavy, heavy\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


def test_the_wheel_is_one_name_with_every_room_its_marker_and_its_data(
    root: Path, rooms: list[str], tmp_path: Path
) -> None:
    wheel = build(root, tmp_path)
    names = contents(wheel)
    assert {"apprentice/__init__.py", "apprentice/py.typed"} <= names
    for room in rooms:
        assert f"apprentice/{room}/py.typed" in names
        files = {
            f"apprentice/{room}/{path.relative_to(root / room)}" for path in sources(root / room)
        }
        assert files <= names
    assert "apprentice/environments/toolcalls/data/clinic.jsonl" in names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"apprentice"}
    assert wheel.stat().st_size < 2_000_000


def test_the_weights_are_a_wheel_of_their_own_that_fills_the_same_folders(
    root: Path, tmp_path: Path
) -> None:
    names = contents(build(root, tmp_path, "models"))
    expected = {
        f"apprentice/models/{model}/weights/{path.name}"
        for model in SHIPPED
        for path in (root / "models" / model / "weights").iterdir()
    }
    assert {name for name in names if ".dist-info/" not in name} == expected


def test_the_command_is_installed_under_its_name(settings: dict[str, Any]) -> None:
    target = settings["project"]["scripts"]["apprentice"]
    module, _, function = target.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def sources(room: Path) -> list[Path]:
    return [path for path in room.rglob("*.py") if (path.parent / "__init__.py").is_file()]


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())
