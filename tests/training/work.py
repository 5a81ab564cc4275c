"""Carry out jobs in this process, and read what they said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from training.datasets.card import Dataset
from training.jobs import Job, write_job
from training.run import carry_out
from training.settings import read_settings


def job(root: Path, data: Dataset, **settings: Any) -> Path:
    """Write a job down; return its folder."""
    told = read_settings({"method": data.card.kind} | settings)
    return write_job(root / "jobs", Job.of(data.folder, told))


def done(root: Path, data: Dataset, **settings: Any) -> Path:
    """Carry a job out, well; return its folder."""
    folder = job(root, data, **settings)
    assert carry_out(folder) == 0
    return folder


def events(folder: Path, kind: str = "") -> list[dict[str, Any]]:
    """Return what a job said, perhaps of one kind."""
    lines = (folder / "progress.jsonl").read_text().splitlines()
    said = [json.loads(line) for line in lines]
    return [event for event in said if kind in ("", event["event"])]
