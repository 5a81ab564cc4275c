"""Carry out a job that was launched: `python -m apprentice.training FOLDER`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from apprentice.settings import Settings
from apprentice.state.errors import ApprenticeError
from apprentice.training.run import carry_out
from apprentice.training.workbench import Workbench


def main() -> None:
    """Read the job's folder and carry the job out; the exit status tells how it ended."""
    parser = argparse.ArgumentParser(prog="python -m apprentice.training", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="a job's folder, as a launcher wrote it")
    parser.add_argument(
        "--in-turn", action="store_true", help="wait until no other such job of its folder trains"
    )
    given = parser.parse_args()
    try:
        bench = Workbench.of(Settings.of_process())
    except ApprenticeError as error:
        sys.exit(str(error))
    sys.exit(carry_out(given.folder, bench, in_turn=given.in_turn))


if __name__ == "__main__":
    main()
