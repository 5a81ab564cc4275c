"""Kill a trainer again and again, at any moment: it always goes on, and in the end it is done."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from apprentice.training.jobs import Job, is_locked, write_job
from apprentice.training.settings import SftSettings
from tests.models import tiny as tiny_models
from tests.training import tiny
from tests.training.conftest import Workplace

pytestmark = pytest.mark.soak
KILLS = 25


def test_a_trainer_that_is_killed_at_any_moment(tmp_path: Path) -> None:
    place = Workplace(tmp_path, tmp_path / "models")
    variables = place.workspace.settings.for_process(data=tmp_path)
    tiny_models.llama(tmp_path / "models" / "llama")
    data = tiny.dataset(tmp_path / "data", "sft", tiny.chats(64), tiny.chats(4, start=90))
    settings = SftSettings(base="llama", batch=2, max_steps=4000, every=3, patience=0)
    folder = write_job(tmp_path / "jobs", Job.of(data.folder, settings, place.local))
    rng = random.Random(0)
    reached = 0
    for _ in range(KILLS):
        trainer = subprocess.Popen(
            [sys.executable, "-m", "apprentice.training", str(folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=variables,
        )
        time.sleep(rng.uniform(1, 25))
        os.kill(trainer.pid, signal.SIGKILL)
        trainer.wait()
        assert not is_locked(folder)
        status = place.look(folder)
        assert status.stage in ("waiting", "interrupted", "done"), status.outcome
        saved = [int(path.name.split("-")[1]) for path in folder.glob("checkpoints/checkpoint-*")]
        assert max(saved, default=0) >= reached
        reached = max(0, min(saved, default=0))
    assert reached > 0
