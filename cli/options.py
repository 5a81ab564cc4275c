"""Options that several commands have, worded once.

Each has a short name for its value, so that what it means has room on a narrow terminal.
"""

from __future__ import annotations

from typing import Annotated, Final

import typer

from apprentice.workspace import Workspace, default


def current_workspace(ctx: typer.Context) -> Workspace:
    """Return the workspace that a command was invoked with, else that of this process."""
    return ctx.find_object(Workspace) or default()


HOME: Final = "household/north/small"

Model = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="provider:model, such as openai:gpt-5-mini, or local:NAME; that of APPRENTICE_MODEL "
        "when left out.",
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Draws the tasks and what is sampled.")]
Trials = Annotated[int, typer.Option(metavar="N", help="Attempts at a task, 1 to 100.")]
MaxTokens = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Tokens a turn or a reflection may have, 8 to 4096: more for a model that thinks.",
    ),
]
Concurrency = Annotated[
    int, typer.Option(metavar="N", min=1, max=1024, help="Tasks under way at once.")
]
Training = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=0,
        max=2000,
        help="Training tasks that rules are learned from; 0 for none.",
    ),
]
Cache = Annotated[
    bool,
    typer.Option(
        "--cache/--no-cache",
        help="Keep a model's answers, so that the same evaluation again costs nothing.",
    ),
]
Tenant = Annotated[str, typer.Option(metavar="NAME", help="Whose memory.")]
Environment = Annotated[
    str, typer.Option(metavar="NAME", help="Only attempts made in this environment.")
]
