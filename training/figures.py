"""What a job's record adds up to, over all its starts: a crash and a resume change no figure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

GIVEN_UP: Final = "given_up"
"""The event that ends a training which is killed again and again."""


def figures(record: Path) -> dict[str, float]:
    """Return what was measured of a training, from what it said.

    `seconds` are from when each start had loaded all it needs to the last that it said, steps that
    a crash made it repeat included. `train_loss` is the mean of the steps that count; steps that
    were repeated count once.
    """
    begun: float | None = None
    seconds = memory = 0.0
    losses: dict[int, float] = {}
    for event in _events(record):
        step = int(event.get("step", 0))
        if event["event"] == "started":
            begun = None
        elif event["event"] == "training":
            begun = event["at"]
            losses = {at: loss for at, loss in losses.items() if at <= step}
        elif begun is not None:
            seconds += event["at"] - begun
            begun = event["at"]
        if event["event"] == "progress":
            losses[step] = event["loss"]
        memory = max(memory, event.get("memory_mb", 0))
    found = {"seconds": round(seconds, 1), "memory_mb": memory}
    return found | ({"train_loss": _mean(losses)} if losses else {})


def starts_in_vain(record: Path) -> int:
    """Count the starts since a checkpoint was last completed, or since the training was given up.

    Each was killed, or failed, before it came to a checkpoint.
    """
    starts = 0
    for event in _events(record) if record.is_file() else ():
        if event["event"] == "started":
            starts += 1
        elif event["event"] in ("checkpoint", GIVEN_UP):
            starts = 0
    return starts


def _mean(losses: dict[int, float]) -> float:
    """Average losses, each of which is the mean since the step before it."""
    steps = sorted(losses)
    spans = [step - before for before, step in zip([0, *steps], steps, strict=False)]
    return sum(losses[step] * span for step, span in zip(steps, spans, strict=True)) / sum(spans)


def _events(record: Path) -> Iterator[dict[str, Any]]:
    for line in record.read_text().splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # cut by a crash
        if isinstance(event, dict) and {"event", "at"} <= event.keys():
            yield event
