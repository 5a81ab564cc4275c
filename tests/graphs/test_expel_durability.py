"""A run of expel goes on where a killed one stopped: nothing is repeated, nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.graphs.test_durability import finish, kill_after, started

SURVIVOR = "tests.graphs.expel_survivor"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what a run comes to that nobody kills."""
    _, result = finish(started(SURVIVOR, str(tmp_path_factory.mktemp("whole")), "0"))
    return result


def interrupted(folder: Path, whole: Any, event: str, times: int) -> None:
    before = kill_after(started(SURVIVOR, str(folder), "0.02"), event, times)
    after, resumed = finish(started(SURVIVOR, str(folder), "0"))
    assert resumed == whole
    recorded = [each["task"] for each in before if each["type"] == "expel.gathered"]
    again = {each["opening"] for each in after if each["type"] == "attempt"}
    assert not again & {whole["openings"][task] for task in recorded}


@pytest.mark.parametrize(("event", "times"), [("expel.gathered", 4), ("expel.curated", 3)])
def test_a_killed_run_goes_on(event: str, times: int, tmp_path: Path, whole: Any) -> None:
    assert whole["batches"]
    interrupted(tmp_path, whole, event, times)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("event", "times"),
    [
        ("expel.begun", 1),
        *(("attempt", times) for times in range(1, 9)),
        *(("expel.gathered", times) for times in range(1, 7)),
        ("expel.extracted", 1),
        *(("expel.curated", times) for times in range(1, 5)),
        ("expel.proposed", 1),
        *(("expel.compared", times) for times in (1, 12, 24)),
        *(("expel.validated", times) for times in (1, 2)),
        ("expel.done", 1),
    ],
)
def test_a_run_killed_anywhere_goes_on(event: str, times: int, tmp_path: Path, whole: Any) -> None:
    interrupted(tmp_path, whole, event, times)
