"""The command line that every recipe has: train, resume, publish."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch

from apprentice.training.scratch.loop import Recipe, publish, train


def run(name: str, recipe: Recipe, about: str) -> None:
    """Read the settings and train; an interrupted run goes on where it stopped."""
    parser = argparse.ArgumentParser(
        prog=f"python -m apprentice.training.{name}", description=about
    )
    parser.add_argument("--out", type=Path, default=Path("runs") / name, help="folder of the run")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; one is often best")
    parser.add_argument("--publish", type=Path, help="write the latest checkpoint here, and stop")
    for field in dataclasses.fields(recipe.settings):
        default = getattr(recipe.settings, field.name)
        kind = type(default)
        parser.add_argument(f"--{field.name}", type=kind, default=default, help=kind.__name__)
    options = vars(parser.parse_args())
    out, threads, folder = (options.pop(name) for name in ("out", "threads", "publish"))
    torch.set_num_threads(threads)
    if folder is not None:
        publish(out, recipe, folder)
        return
    train(out, recipe, dataclasses.replace(recipe.settings, **options))
