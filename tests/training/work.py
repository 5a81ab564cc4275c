"""Carry out jobs in this process, and read what they said."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from apprentice.training.adapters import Adapter, Adapters
from apprentice.training.datasets.card import Dataset
from apprentice.training.jobs import Job, read_job, write_job
from apprentice.training.run import ADAPTER, conclude
from apprentice.training.settings import read_settings
from tests.training.conftest import Workplace

quantised = pytest.mark.skipif(
    find_spec("bitsandbytes") is None, reason="bitsandbytes comes with the extra `quantised`"
)


def job(place: Workplace, data: Dataset, **settings: Any) -> Path:
    """Write a job down; return its folder."""
    told = read_settings({"method": data.card.kind} | settings)
    return write_job(place.jobs, Job.of(data.folder, told, place.local))


def done(place: Workplace, data: Dataset, **settings: Any) -> Path:
    """Carry a job out, well; return its folder."""
    folder = job(place, data, **settings)
    assert place.carry_out(folder) == 0
    return folder


def untrained(folder: Path, adapters: Adapters) -> Adapter:
    """End a job well in the place of the process that would train; nothing can load its adapter."""
    job = read_job(folder)
    (folder / ADAPTER).mkdir(exist_ok=True)
    (folder / ADAPTER / "adapter_config.json").write_text("{}")
    figures = {"steps": float(job.settings.max_steps), "seconds": 1.5, "memory_mb": 100.0}
    return conclude(folder, job, figures, adapters)


def events(folder: Path, kind: str = "") -> list[dict[str, Any]]:
    """Return what a job said, perhaps of one kind."""
    lines = (folder / "progress.jsonl").read_text().splitlines()
    said = [json.loads(line) for line in lines]
    return [event for event in said if kind in ("", event["event"])]
