"""A training that is killed at any node: the next run goes on, and nothing is done twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.graphs.test_durability import finish, kill_after, started

SURVIVOR = "tests.graphs.training_survivor"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what a training comes to that nobody kills."""
    _, result = finish(started(SURVIVOR, str(tmp_path_factory.mktemp("whole")), "0", "one"))
    return result


def interrupted(folder: Path, whole: Any, event: str, times: int, thread: str) -> None:
    """Kill a run in the middle of a node; let that run go on, or another one look."""
    kill_after(started(SURVIVOR, str(folder), "0.01", "one"), event, times)
    _, resumed = finish(started(SURVIVOR, str(folder), "0", thread))
    assert resumed == whole


@pytest.mark.parametrize(
    ("event", "times", "thread"),
    [("training.launched", 1, "one"), ("training.evaluated", 2, "two")],
)
def test_a_killed_training_goes_on(
    event: str, times: int, thread: str, tmp_path: Path, whole: Any
) -> None:
    assert len(whole["started"]) == len(whole["releases"]) == 1
    assert whole["rounds"][0][1] == "promoted"
    interrupted(tmp_path, whole, event, times, thread)


@pytest.mark.soak
@pytest.mark.parametrize("thread", ["one", "two"])
@pytest.mark.parametrize(
    ("event", "times"),
    [
        *((f"training.{name}", 1) for name in ("survey", "advice", "dataset", "launched")),
        *((f"training.{name}", 1) for name in ("progress", "promoted")),
        *(("training.evaluated", times) for times in (1, 2, 3)),
    ],
)
def test_a_training_killed_anywhere_goes_on(
    event: str, times: int, thread: str, tmp_path: Path, whole: Any
) -> None:
    interrupted(tmp_path, whole, event, times, thread)
