"""The command line of the training methods, with one option for each setting."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic_core import PydanticUndefined

from apprentice.settings import Settings as Deployment
from apprentice.state.errors import ApprenticeError
from apprentice.training.jobs import Job, write_job
from apprentice.training.run import carry_out
from apprentice.training.settings import JobSettings, read_settings
from apprentice.training.workbench import Workbench


def run(kind: type[JobSettings]) -> None:
    """Read a job from the command line and run it in this process."""
    sys.exit(main(kind, sys.argv[1:]))


def main(kind: type[JobSettings], arguments: list[str], bench: Workbench | None = None) -> int:
    """Run the job that command-line arguments describe; return the exit status.

    The same arguments always mean the same job, so an interrupted job resumes.

    Args:
        kind: the settings of the method.
        arguments: the arguments of the command line.
        bench: the workbench of the job; None uses the settings of this process.
    """
    options = vars(parser(kind).parse_args(arguments))
    dataset, root, tenant = (options.pop(name) for name in ("dataset", "jobs", "tenant"))
    method = kind.model_fields["method"].default
    try:
        bench = bench or Workbench.of(Deployment.of_process())
        settings = read_settings({"method": method} | options)
        if settings.parent:
            bench.adapters.check_owner(settings.parent, tenant)
        folder = write_job(root or bench.jobs, Job.of(dataset, settings, bench.local, tenant))
    except ApprenticeError as error:
        print(error, file=sys.stderr)
        return 1
    return carry_out(folder, bench)


def parser(kind: type[JobSettings]) -> argparse.ArgumentParser:
    """Return the parser of a method's options."""
    method = kind.model_fields["method"].default
    option_parser = argparse.ArgumentParser(
        prog=f"python -m apprentice.training.{method}",
        description=kind.__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    option_parser.add_argument("--dataset", type=Path, required=True, help="folder of the dataset")
    option_parser.add_argument(
        "--jobs", type=Path, help="folder of the jobs; `jobs` under APPRENTICE_DATA"
    )
    option_parser.add_argument(
        "--tenant", default="", help="the tenant that may use the adapter; empty: every tenant may"
    )
    for name, field in kind.model_fields.items():
        if name != "method":
            option = "--" + name.replace("_", "-")
            option_parser.add_argument(
                option, help=field.description or " ", **_argument_options(field)
            )
    return option_parser


def _argument_options(field: Any) -> dict[str, Any]:
    default = None if field.default is PydanticUndefined else field.default
    if field.annotation is bool:
        return {"action": argparse.BooleanOptionalAction, "default": default}
    if get_origin(field.annotation) is tuple:
        return {"nargs": "*", "default": default}
    if choices := [part for part in get_args(field.annotation) if isinstance(part, str)]:
        return {"choices": choices, "default": default}
    return {"type": field.annotation, "default": default}
