"""The ALFWorld adapter without its games: what it lists, refuses and says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from apprentice.environments.alfworld import KINDS, SPLITS, Alfworld
from apprentice.environments.protocol import Environment
from apprentice.state.errors import BadInput, BrokenData, MissingPart, UnknownName
from apprentice.state.trajectory import Task

GAME = {
    "pddl_domain": "(define)",
    "pddl_problem": "(define)",
    "grammar": '{"task": [{"rhs": "Your task is to: put a mug in desk."}]}',
    "solvable": True,
}


def write(root: Path, task_id: str, **changes: object) -> Path:
    """Lay out one game file as alfworld-download does."""
    file = root / "json_2.1.1" / task_id / "game.tw-pddl"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({**GAME, **changes}))
    return file


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of games, three a family, and some that are to be left out."""
    for folder in KINDS:
        for trial in range(3):
            write(tmp_path, f"valid_seen/{folder}-Mug-None-Desk-1/trial_{trial}")
    write(tmp_path, "valid_seen/pick_and_place_simple-Mug-None-Desk-1/unsolvable", solvable=False)
    write(tmp_path, "valid_seen/pick_and_place_simple-MugSliced-None-Desk-1/trial_0")
    write(tmp_path, "valid_seen/pick_and_place_with_movable_recep-Mug-Box-Desk-1/trial_0")
    write(tmp_path, "valid_seen/something_else-Mug-None-Desk-1/trial_0")
    return tmp_path


def test_families_take_turns_and_unsupported_games_are_left_out(data: Path) -> None:
    tasks = list(Alfworld(data).tasks("valid_seen", 100))
    assert [task.kind for task in tasks] == ["pick", "light", "clean", "heat", "cool", "two"] * 3
    assert len({task.id for task in tasks}) == 18
    assert not any("unsolvable" in task.id for task in tasks)
    assert {task.split for task in tasks} == {"valid_seen"}
    assert {task.instruction for task in tasks} == {"put a mug in desk."}


def test_a_seed_fixes_the_order_and_a_limit_cuts_it(data: Path) -> None:
    home = Alfworld(data)
    first = [task.id for task in home.tasks("valid_seen", 18, seed=1)]
    assert first == [task.id for task in home.tasks("valid_seen", 18, seed=1)]
    assert first != [task.id for task in home.tasks("valid_seen", 18, seed=2)]
    assert [task.id for task in home.tasks("valid_seen", 4, seed=1)] == first[:4]
    assert list(home.tasks("valid_seen", 0)) == []


def test_a_task_is_rebuilt_from_its_id(data: Path) -> None:
    home = Alfworld(data)
    assert isinstance(home, Environment)
    for task in home.tasks("valid_seen", 6):
        assert home.task(task.id) == task


@pytest.mark.parametrize(
    "task_id",
    [
        "",
        "valid_seen",
        "valid_seen/pick_and_place_simple-Mug-None-Desk-1",
        "valid_seen/pick_and_place_simple-Mug-None-Desk-1/no_such_trial",
        "valid_seen/pick_and_place_simple-Mug-None-Desk-1/trial_0/",
        "valid_seen/pick_and_place_simple-Mug-None-Desk-1/trial_0\n",
        "valid_seen/../valid_seen/pick_and_place_simple-Mug-None-Desk-1/trial_0",
        "valid_seen/pick_and_place_simple-Mug-None-Desk-1/../trial_0",
        "valid_seen/something_else-Mug-None-Desk-1/trial_0",
        "elsewhere/pick_and_place_simple-Mug-None-Desk-1/trial_0",
        "/etc/passwd",
        "..",
    ],
)
def test_a_task_that_does_not_exist_is_bad_input(task_id: str, data: Path) -> None:
    home = Alfworld(data)
    with pytest.raises(BadInput, match="There is no ALFWorld task") as error:
        home.task(task_id)
    assert len(str(error.value)) < 500


def test_an_unknown_split_is_met_with_the_nearest(data: Path) -> None:
    with pytest.raises(UnknownName, match=r"Did you mean 'valid_seen'"):
        list(Alfworld(data).tasks("valid_sen", 1))


@pytest.mark.parametrize("split", SPLITS)
def test_without_data_it_says_how_to_get_it(split: str, tmp_path: Path) -> None:
    with pytest.raises(MissingPart, match="run alfworld-download, and set ALFWORLD_DATA"):
        list(Alfworld(tmp_path).tasks(split, 1))


def test_without_the_packages_it_says_how_to_install_them(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "textworld", None)
    home = Alfworld(data)
    (task,) = home.tasks("valid_seen", 1)
    with pytest.raises(MissingPart, match=r"-e '.\[alfworld\]'"):
        home.reset(task)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe\x00",
        b'{"solvable": true}',
        json.dumps({**GAME, "solvable": "yes"}).encode(),
        json.dumps({**GAME, "grammar": ""}).encode(),
    ],
)
def test_a_damaged_game_is_named(data: Path, content: bytes) -> None:
    task_id = "valid_seen/pick_and_place_simple-Mug-None-Desk-1/trial_0"
    file = data / "json_2.1.1" / task_id / "game.tw-pddl"
    file.write_bytes(content)
    with pytest.raises(BrokenData, match=r"trial_0/game\.tw-pddl is not a game"):
        Alfworld(data).task(task_id)


def test_a_game_that_the_interpreter_cannot_read_is_named(data: Path) -> None:
    pytest.importorskip("alfworld")
    arguments = sys.argv
    task = Task(
        id="valid_seen/pick_and_place_simple-Mug-None-Desk-1/trial_0", environment="alfworld"
    )
    with pytest.raises(BrokenData, match=r"trial_0/game\.tw-pddl is not a game"):
        Alfworld(data).reset(task)
    assert sys.argv is arguments
