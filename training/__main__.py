"""Carry out a job that was launched: `python -m training FOLDER`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training.run import carry_out


def main() -> None:
    """Read the job's folder and carry the job out; the exit status tells how it ended."""
    parser = argparse.ArgumentParser(prog="python -m training", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="a job's folder, as a launcher wrote it")
    sys.exit(carry_out(parser.parse_args().folder))


if __name__ == "__main__":
    main()
