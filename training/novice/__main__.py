"""Make the novice: `python -m apprentice.training.novice --out runs/novice`."""

from __future__ import annotations

from apprentice.training.novice.recipe import Novice
from apprentice.training.scratch.commands import run

if __name__ == "__main__":
    run(
        "novice",
        Novice(),
        "Train the novice. If the run is interrupted, start it again: it resumes.",
    )
