"""Make the novice: `python -m training.novice --out runs/novice`."""

from __future__ import annotations

from training.novice.recipe import Novice
from training.scratch.commands import run

if __name__ == "__main__":
    run("novice", Novice(), "Train the novice; an interrupted run goes on where it stopped.")
