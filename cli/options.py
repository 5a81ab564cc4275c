"""The options that several commands share.

Their metavars are short, so that the help has room in a narrow terminal.
"""

from __future__ import annotations

from typing import Annotated, Final

import typer

from apprentice.workspace import Workspace, default


def current_workspace(ctx: typer.Context) -> Workspace:
    """Return the command's workspace, or the default one of this process."""
    return ctx.find_object(Workspace) or default()


HOME: Final = "household/north/small"

Model = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="provider:model, such as openai:gpt-5-mini, or local:NAME. Default: the setting "
        "APPRENTICE_MODEL.",
    ),
]
Seed = Annotated[
    int, typer.Option(metavar="N", min=0, help="The seed for the tasks and the sampling.")
]
Trials = Annotated[int, typer.Option(metavar="N", help="Attempts at each task, 1 to 100.")]
MaxTokens = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Tokens of a turn or a reflection, 8 to 4096. A model that thinks needs more.",
    ),
]
Concurrency = Annotated[
    int, typer.Option(metavar="N", min=1, max=1024, help="Tasks in progress at the same time.")
]
Training = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=0,
        max=2000,
        help="Training tasks for learning rules; 0 learns none.",
    ),
]
Cache = Annotated[
    bool,
    typer.Option(
        "--cache/--no-cache",
        help="Cache the model's answers. Repeating an evaluation then costs nothing.",
    ),
]
Tenant = Annotated[
    str, typer.Option(metavar="NAME", help="The tenant: whose memory, rules and runs.")
]
Environment = Annotated[
    str, typer.Option(metavar="NAME", help="Only attempts in this environment.")
]
