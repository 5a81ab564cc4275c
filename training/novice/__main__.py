"""Make the embedded model: `python -m training.novice --out runs/novice`."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path


def main() -> None:
    """Read the settings and train; an interrupted run goes on where it stopped."""
    from training.novice.train import Settings, publish, train

    parser = argparse.ArgumentParser(prog="python -m training.novice", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/novice"), help="folder of the run")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; one is often best")
    parser.add_argument("--publish", type=Path, help="write the latest checkpoint here, and stop")
    for field in dataclasses.fields(Settings):
        kind = type(field.default)
        parser.add_argument(f"--{field.name}", type=kind, default=field.default, help=kind.__name__)
    options = vars(parser.parse_args())
    out, threads, folder = (options.pop(name) for name in ("out", "threads", "publish"))

    import torch

    torch.set_num_threads(threads)
    if folder is not None:
        publish(out, folder)
        return
    train(out, Settings(**options))


if __name__ == "__main__":
    main()
