"""The wheel serves a project whose own packages are called graphs, state, nodes, memory, training.

`neighbour/` is that project. The wheel is installed by pip into a fresh environment, to which the
one that runs the tests lends what the wheel asks for, and the server: torch is not part of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest
from langgraph_sdk import get_client

from tests.house.wheels import build, lend
from tests.server.serve import serve

PROJECT = Path(__file__).parent / "neighbour"
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
WHERE = """
import graphs, memory, models, nodes, state, training
import apprentice.graphs, apprentice.models.names
print(*(module.__file__ for module in (graphs, memory, models, nodes, state, training)))
print(apprentice.graphs.__file__, apprentice.models.names.__file__)
"""


@dataclass(frozen=True)
class Neighbour:
    """Where the project is, and the Python of its environment."""

    folder: Path
    python: str

    def run(self, *command: str) -> str:
        done = subprocess.run(
            [self.python, *command],
            cwd=self.folder,
            env=ENVIRONMENT,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def neighbour(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Neighbour:
    folder = tmp_path_factory.mktemp("neighbour")
    wheels = []
    for project in (".", "models"):
        (folder / project).mkdir(exist_ok=True)
        wheels.append(str(build(root, folder / project, project)))
    venv.create(folder / "venv", with_pip=True)
    python = str(folder / "venv" / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", *wheels]
    subprocess.run(pip, env=ENVIRONMENT, check=True)
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    lend([*project["dependencies"], *project["optional-dependencies"]["server"]], packages)
    shutil.copytree(PROJECT, folder / "project")
    return Neighbour(folder / "project", python)


def test_each_finds_its_own(neighbour: Neighbour) -> None:
    own, installed = neighbour.run("-c", WHERE).splitlines()
    assert all(Path(file).is_relative_to(neighbour.folder) for file in own.split())
    environment = Path(neighbour.python).parents[1]
    assert all(Path(file).is_relative_to(environment) for file in installed.split())


async def test_it_is_served(neighbour: Neighbour, tmp_path: Path) -> None:
    with serve(
        neighbour.folder / "langgraph.json",
        tmp_path,
        python=neighbour.python,
        cwd=neighbour.folder,
        environment=ENVIRONMENT,
    ) as address:
        async with get_client(url=address) as client:
            thread = (await client.threads.create())["thread_id"]
            given = {"place": "household/north/small"}
            ended = await client.runs.wait(thread, "desk", input=given)
            again = await client.runs.wait(thread, "desk", input=given)
    assert isinstance(ended, dict)
    assert ended["filed"] == "solved after 2"
    assert ended["verdict"]["source"] == "rule"
    assert isinstance(again, dict)
    assert again["filed"] == "solved_before after 0"  # its store and its checkpoints are read


def test_it_is_typed(neighbour: Neighbour, request: pytest.FixtureRequest) -> None:
    """Reading the packages' types takes most of the time, so they are remembered between runs."""
    assert request.config.cache is not None
    memory = request.config.cache.mkdir("neighbour")
    options = ["--strict", "--python-executable", neighbour.python, "--cache-dir", str(memory)]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "."],
        cwd=neighbour.folder,
        env=ENVIRONMENT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("Success"), done.stdout + done.stderr
