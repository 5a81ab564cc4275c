"""An evaluation that remembers, killed again and again at any moment, ends as if it never was."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

PUPIL = Path(__file__).parents[1] / "cli" / "pupil.py"
OPTIONS = (
    *("evaluate", "--environment", "household/north/full", "--trials", "3", "--limit", "36"),
    *("--concurrency", "4"),
)


def start(root: Path, folder: Path, name: str) -> subprocess.Popen[str]:
    """Start the evaluation, or go on with it, in a memory and a file of that name."""
    return subprocess.Popen(
        [sys.executable, str(PUPIL), *OPTIONS, "--tenant", name, "--json", f"{name}.json"],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(root),
            "PUPIL_DELAY": "0.01",
            "APPRENTICE_DATA": str(folder / "data"),
        },
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def killed(process: subprocess.Popen[str], file: Path, pause: float) -> bool:
    """Kill a run a moment after it has finished a task more; return whether it still ran."""
    before = lines(file)
    while process.poll() is None:
        if lines(file) > before:
            time.sleep(pause)
            process.kill()
            break
        time.sleep(0.005)
    _, said = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), said
    return process.returncode != 0


def lines(file: Path) -> int:
    """Count the lines of a journal; the first is the plan."""
    return max(1, file.read_bytes().count(b"\n")) if file.exists() else 1


def rows(file: Path) -> list[Any]:
    """Return what every attempt came to, without what differs between any two runs."""
    kept = ("task", "trial", "success", "steps", "calls", "tokens")
    return [tuple(row[name] for name in kept) for row in json.loads(file.read_text())["rows"]]


def test_an_evaluation_that_is_killed_at_any_moment_loses_and_invents_nothing(
    root: Path, tmp_path: Path
) -> None:
    whole = start(root, tmp_path, "whole")
    _, said = whole.communicate()
    assert whole.returncode == 0, said
    chance, kills = random.Random(0), 0
    while True:
        process = start(root, tmp_path, "killed")
        if not killed(process, tmp_path / "killed.jsonl", chance.uniform(0, 0.2)):
            break
        kills += 1
    assert kills > 3
    assert rows(tmp_path / "killed.json") == rows(tmp_path / "whole.json")
