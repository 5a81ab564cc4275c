"""`apprentice settings`: the settings of this deployment, and their sources."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from apprentice.cli.options import current_workspace
from apprentice.settings import example as example_file


def settings(
    ctx: typer.Context,
    example: Annotated[
        bool, typer.Option("--example", help="Print the text of `.env.example` instead.")
    ] = False,
) -> None:
    """Print every setting, its value and its source. Secrets are masked.

    The environment comes first, then the file `.env`, then the default.
    """
    if example:
        typer.echo(example_file(), nl=False)
        return
    table = Table()
    for name in ("setting", "value", "from"):
        table.add_column(name, no_wrap=name != "value", overflow="fold")
    for each in current_workspace(ctx).settings.entries():
        table.add_row(each.name, escape(each.value), each.source)
    Console().print(table)
