"""The command line of every recipe: train, resume, publish."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch

from apprentice.training.scratch.loop import Recipe, publish, train


def run(name: str, recipe: Recipe, about: str) -> None:
    """Read the command line and train; an interrupted run resumes from its checkpoint."""
    parser = argparse.ArgumentParser(
        prog=f"python -m apprentice.training.{name}", description=about
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs") / name,
        help="folder of the run (default: %(default)s)",
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="CPU threads; one is often the fastest"
    )
    parser.add_argument(
        "--publish", type=Path, help="write the latest checkpoint to this folder and stop"
    )
    for field in dataclasses.fields(recipe.settings):
        default = getattr(recipe.settings, field.name)
        kind = type(default)
        about_type = f"{kind.__name__} (default: %(default)s)"
        parser.add_argument(f"--{field.name}", type=kind, default=default, help=about_type)
    options = vars(parser.parse_args())
    out, threads, folder = (options.pop(name) for name in ("out", "threads", "publish"))
    torch.set_num_threads(threads)
    if folder is not None:
        publish(out, recipe, folder)
        return
    train(out, recipe, dataclasses.replace(recipe.settings, **options))
