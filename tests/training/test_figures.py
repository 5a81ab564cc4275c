"""What a card says of a training is of all its starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from apprentice.training.figures import figures


def event(kind: str, at: float, **facts: Any) -> str:
    return json.dumps({"event": kind, "at": at, **facts}) + "\n"


def learned(at: float, step: int, loss: float, memory: int = 100) -> str:
    return event("progress", at, step=step, loss=loss, memory_mb=memory)


def test_a_resumed_training_counts_every_start_and_every_step_once(tmp_path: Path) -> None:
    record = tmp_path / "progress.jsonl"
    first = [
        event("started", 100),  # ten seconds of loading, which are not training
        event("training", 110, step=0),
        learned(112, 1, 8.0, memory=900),
        learned(114, 2, 6.0),
        event("checkpoint", 115, step=2),
        learned(116, 4, 5.0),  # after the checkpoint, so it is done again
        '{"event": "progress", "at": 117, "st\n',
    ]
    second = [
        event("started", 200),
        event("resumed", 208, step=2),
        event("training", 210, step=2),
        learned(213, 4, 3.0),
        learned(219, 8, 1.0),
        event("trained", 220, memory_mb=300),
    ]
    record.write_text("".join([*first, *second]))
    assert figures(record) == {
        "seconds": 16.0,
        "memory_mb": 900,
        "train_loss": (8 + 6 + 2 * 3 + 4 * 1) / 8,
    }


def test_a_training_that_logged_nothing_has_no_loss(tmp_path: Path) -> None:
    record = tmp_path / "progress.jsonl"
    record.write_text(event("training", 1, step=0) + event("trained", 3, memory_mb=5))
    assert figures(record) == {"seconds": 2.0, "memory_mb": 5}
