"""Run a job that was launched: `python -m apprentice.training FOLDER`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from apprentice.settings import Settings
from apprentice.state.errors import ApprenticeError
from apprentice.training.run import carry_out
from apprentice.training.workbench import Workbench


def main() -> None:
    """Run the training job in a folder; the exit status is 0 if it succeeds."""
    parser = argparse.ArgumentParser(prog="python -m apprentice.training", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="the job's folder, as a launcher wrote it")
    parser.add_argument(
        "--in-turn", action="store_true", help="wait until no other job with --in-turn trains"
    )
    options = parser.parse_args()
    try:
        bench = Workbench.of(Settings.of_process())
    except ApprenticeError as error:
        sys.exit(str(error))
    sys.exit(carry_out(options.folder, bench, in_turn=options.in_turn))


if __name__ == "__main__":
    main()
