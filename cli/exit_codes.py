"""The exit codes of the commands, and the sentences that they print when they stop early.

0    The command succeeded.
2    The command is wrong: an option, name, number or file is not valid.
1    The command is right and failed: a key, package or data is missing, or a model or server fails.
     After the cause is removed, the same command works.
130  A person interrupted the command. Finished tasks stay in the journal, if there is one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import typer
from rich.console import Console
from rich.markup import escape

from apprentice.cli.plural import plural
from apprentice.state.errors import BadInput

FAILURE: Final = 1
BAD_INPUT: Final = 2
INTERRUPTED: Final = 130
CODES: Final = (
    "Exit codes: 0 success; 2 the command is wrong (an option, name, number or file is not valid); "
    "1 the command failed (a key or data is missing, a model or server fails); 130 interrupted."
)

Stop = (KeyboardInterrupt, EOFError)
"""The exceptions of a person's Ctrl-C and Ctrl-D."""


def resume_hint(count: int, where: Path, command: str = "The same command") -> str:
    """Say how to continue a run that ended early; return '' if no task is finished."""
    if not count:
        return ""
    return f"Finished tasks are in {where}: {plural(count, 'task')}. {command} continues."


def exit_with(error: BaseException, hint: str = "") -> typer.Exit:
    """Print why a command ends early, and return its exit.

    Args:
        error: an error of the project, or a person's interruption.
        hint: how to continue.
    """
    console = Console(stderr=True)
    if isinstance(error, Stop):
        if console.is_terminal:
            console.print()  # the terminal has already written ^C on this line
        console.print(f"Interrupted. {escape(hint)}".rstrip(), soft_wrap=True)
        return typer.Exit(INTERRUPTED)
    console.print(f"[bold red]Error:[/] {escape(str(error))}", soft_wrap=True)
    if hint:
        console.print(escape(hint), soft_wrap=True)
    return typer.Exit(BAD_INPUT if isinstance(error, BadInput) else FAILURE)
