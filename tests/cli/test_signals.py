"""Ctrl-C and a kill in the middle: real processes, real signals."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from apprentice.cli import journal

PUPIL = Path(__file__).with_name("pupil.py")


@contextmanager
def running(root: Path, folder: Path, delay: float) -> Iterator[subprocess.Popen[str]]:
    """Start an evaluation of 30 tasks in a process of its own."""
    command = [sys.executable, str(PUPIL), "evaluate", "--limit", "30", "--json", "a.json"]
    environment = {**os.environ, "PYTHONPATH": str(root), "PUPIL_DELAY": str(delay)}
    with subprocess.Popen(
        [*command, "--concurrency", "3"],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell's background job, or a runner's, may have been told to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_tasks(path: Path, process: subprocess.Popen[str], count: int) -> None:
    """Wait until a journal holds some finished tasks, its first line being the plan."""
    deadline = time.monotonic() + 600
    while not path.exists() or path.read_bytes().count(b"\n") <= count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no task was finished within ten minutes"
        time.sleep(0.02)


def test_ctrl_c_keeps_what_was_done_and_says_how_to_go_on(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with running(root, tmp_path, delay=0.2) as process:
        wait_for_tasks(path, process, 2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=6000)
    assert process.returncode == 130
    _, kept = journal.read(path)
    assert f"Finished tasks are in a.jsonl: {len(kept)} tasks." in said
    assert "The same command continues" in said
    assert "Traceback" not in said
    assert 2 <= len(kept) < 30
    with running(root, tmp_path, delay=0) as process:
        process.communicate(timeout=600)
    assert process.returncode == 0
    _, finished = journal.read(path)
    assert finished[: len(kept)] == kept
    assert len({done.task.id for done in finished}) == len(finished) == 30


def test_ctrl_c_ends_a_review_too(root: Path, tmp_path: Path) -> None:
    settings = {**os.environ, "PYTHONPATH": str(root), "TERM": "dumb"}
    curate = [sys.executable, str(PUPIL), "rules", "curate", "ADD: Look in the attic."]
    subprocess.run(curate, cwd=tmp_path, env=settings, check=True, capture_output=True)
    review = [*curate[:3], "learn", "--tasks", "0", "--review", "--run", "a", "--no-record"]
    screen, terminal = pty.openpty()
    with subprocess.Popen(
        review,
        cwd=tmp_path,
        env=settings,
        stdin=terminal,
        stdout=terminal,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        os.close(terminal)
        seen = b""
        while b"decide" not in seen:
            seen += os.read(screen, 4096)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=600)
    os.close(screen)
    assert process.returncode == 130
    assert "`apprentice rules learn --run a`, with the same options, continues." in said
    assert "Traceback" not in said


@pytest.mark.parametrize("tasks", [0, 3])
def test_a_killed_run_goes_on_where_it_was(root: Path, tmp_path: Path, tasks: int) -> None:
    path = tmp_path / "a.jsonl"
    with running(root, tmp_path, delay=0.02) as process:
        wait_for_tasks(path, process, tasks)
        process.kill()
        process.communicate(timeout=6000)
    _, kept = journal.read(path)
    assert len(kept) >= tasks
    with running(root, tmp_path, delay=0) as process:
        process.communicate(timeout=600)
    assert process.returncode == 0
    _, finished = journal.read(path)
    assert finished[: len(kept)] == kept
    assert len({done.task.id for done in finished}) == len(finished) == 30
