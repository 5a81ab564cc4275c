"""Make the clerk: `python -m training.clerk --out runs/clerk`."""

from __future__ import annotations

from training.clerk.recipe import Clerk
from training.scratch.commands import run

if __name__ == "__main__":
    run("clerk", Clerk(), "Train the clerk; an interrupted run goes on where it stopped.")
