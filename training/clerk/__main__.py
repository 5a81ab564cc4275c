"""Make the clerk: `python -m apprentice.training.clerk --out runs/clerk`."""

from __future__ import annotations

from apprentice.training.clerk.recipe import Clerk
from apprentice.training.scratch.commands import run

if __name__ == "__main__":
    run("clerk", Clerk(), "Train the clerk. If the run is interrupted, start it again: it resumes.")
