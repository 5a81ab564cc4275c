"""Compute a training's figures from its record, so that a crash and a resume change no figure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

GIVEN_UP: Final = "given_up"
"""The event that ends a training which was killed too often."""


def figures(record: Path) -> dict[str, float]:
    """Return the figures of a training from its record of events.

    `seconds` is the sum over all starts, each from the beginning of the training to its last event.
    It includes steps that were repeated after a crash. `train_loss` is the mean over all steps, and
    a repeated step counts once.
    """
    start: float | None = None
    seconds = memory = 0.0
    losses: dict[int, float] = {}
    for event in _events(record):
        step = int(event.get("step", 0))
        if event["event"] == "started":
            start = None
        elif event["event"] == "training":
            start = event["at"]
            losses = {at: loss for at, loss in losses.items() if at <= step}
        elif start is not None:
            seconds += event["at"] - start
            start = event["at"]
        if event["event"] == "progress":
            losses[step] = event["loss"]
        memory = max(memory, event.get("memory_mb", 0))
    results = {"seconds": round(seconds, 1), "memory_mb": memory}
    return results | ({"train_loss": _mean(losses)} if losses else {})


def starts_in_vain(record: Path) -> int:
    """Return the number of starts since the last checkpoint, or since the training was given up.

    Each of them was killed or failed before its next checkpoint.
    """
    starts = 0
    for event in _events(record) if record.is_file() else ():
        if event["event"] == "started":
            starts += 1
        elif event["event"] in ("checkpoint", GIVEN_UP):
            starts = 0
    return starts


def _mean(losses: dict[int, float]) -> float:
    """Return the mean of losses, each of which is a mean over the steps since the previous one."""
    steps = sorted(losses)
    spans = [step - before for before, step in zip([0, *steps], steps, strict=False)]
    return sum(losses[step] * span for step, span in zip(steps, spans, strict=True)) / sum(spans)


def _events(record: Path) -> Iterator[dict[str, Any]]:
    for line in record.read_text().splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # a crash cut the line short
        if isinstance(event, dict) and {"event", "at"} <= event.keys():
            yield event
