"""How a command ends: what it says when it cannot go on, and its exit code.

0    done.
2    asked for wrongly: an option, name, number or file that cannot be. Ask for something else.
1    asked for rightly, but not done: a key, package or data is missing, something is out of reach,
     fails or is broken. Mend that, and the same command will do.
130  interrupted; what was finished is kept wherever a command can go on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import typer
from rich.console import Console
from rich.markup import escape

from apprentice.cli.plural import counted
from apprentice.state.errors import BadInput

FAILURE: Final = 1
BAD_INPUT: Final = 2
INTERRUPTED: Final = 130
CODES: Final = (
    "Exit codes: 0 done; 2 asked for wrongly (an option, name, number or file that cannot be); "
    "1 asked for rightly, but not done (a key or data is missing, a model or server fails); "
    "130 interrupted."
)

Stop = (KeyboardInterrupt, EOFError)
"""What a person's Ctrl-C and Ctrl-D raise."""


def going_on(kept: int, where: Path, again: str = "The same command") -> str:
    """Say how a run that ended early goes on; nothing where nothing is kept."""
    if not kept:
        return ""
    return f"What is finished is kept in {where}: {counted(kept, 'task')}. {again} goes on."


def ended(error: BaseException, kept: str = "") -> typer.Exit:
    """Say why a command ends early; return the exit that fits.

    Args:
        error: what ended it: a person, or an error raised on purpose.
        kept: what is kept, and how to go on.
    """
    console = Console(stderr=True)
    if isinstance(error, Stop):
        if console.is_terminal:
            console.print()  # the terminal's own ^C stands on the line
        console.print(f"Interrupted. {escape(kept)}".rstrip(), soft_wrap=True)
        return typer.Exit(INTERRUPTED)
    console.print(f"[bold red]Error:[/] {escape(str(error))}", soft_wrap=True)
    if kept:
        console.print(escape(kept), soft_wrap=True)
    return typer.Exit(BAD_INPUT if isinstance(error, BadInput) else FAILURE)
