"""A run of expel goes on where a killed one stopped: nothing is repeated, nothing is lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.graphs.test_durability import finish, kill_after, started

SURVIVOR = "tests.graphs.expel_survivor"


def whole_run(folder: Path, *options: str) -> Any:
    """Return what a run comes to that nobody kills."""
    _, result = finish(started(SURVIVOR, str(folder), "0", *options))
    assert result["attempts"] == result["remembered"]
    assert result["batches"]
    return result


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return whole_run(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    result = whole_run(tmp_path_factory.mktemp("reviewed"), "review")
    assert [author for _, author in result["batches"]].count("person") == 1
    return result


def interrupted(folder: Path, whole: Any, event: str, times: int, *options: str) -> None:
    """Kill a run at an event, let it go on, and compare it with one that was not killed."""
    before = kill_after(started(SURVIVOR, str(folder), "0.02", *options), event, times)
    after, resumed = finish(started(SURVIVOR, str(folder), "0", *options))
    assert resumed == whole
    begun = Counter(each["opening"] for each in after if each["type"] == "attempt")
    recorded = Counter(after[0]["openings"])
    for opening, made in whole["openings"].items():
        assert begun[opening] + recorded[opening] <= made  # no recorded attempt is made again
    gathered = [each["task"] for each in before if each["type"] == "expel.gathered"]
    assert not begun.keys() & {whole["first"][task] for task in gathered}


@pytest.mark.parametrize(
    ("event", "times"), [("recording", 4), ("expel.gathered", 4), ("expel.curated", 3)]
)
def test_a_killed_run_goes_on(event: str, times: int, tmp_path: Path, whole: Any) -> None:
    interrupted(tmp_path, whole, event, times)


@pytest.mark.parametrize(
    "event",
    [
        "expel.reviewed",
        pytest.param("expel.proposed", marks=pytest.mark.soak),
        pytest.param("answering", marks=pytest.mark.soak),
        pytest.param("expel.done", marks=pytest.mark.soak),
    ],
)
def test_a_review_is_carried_out_once(event: str, tmp_path: Path, reviewed: Any) -> None:
    interrupted(tmp_path, reviewed, event, 1, "review")


@pytest.mark.soak
@pytest.mark.parametrize(
    ("event", "times"),
    [
        ("expel.started", 1),
        ("expel.weighed", 1),
        *(("attempt", times) for times in range(1, 9)),
        *(("recording", times) for times in range(1, 9)),
        *(("recorded", times) for times in range(1, 9)),
        *(("expel.gathered", times) for times in range(1, 7)),
        ("expel.extracted", 1),
        *(("criticising", times) for times in range(1, 5)),
        *(("expel.curated", times) for times in range(1, 5)),
        ("expel.proposed", 1),
        *(("expel.compared", times) for times in (1, 12, 24)),
        *(("expel.validated", times) for times in (1, 2)),
        ("expel.done", 1),
    ],
)
def test_a_run_killed_anywhere_goes_on(event: str, times: int, tmp_path: Path, whole: Any) -> None:
    interrupted(tmp_path, whole, event, times)
