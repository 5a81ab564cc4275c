"""Typer's commands, with a help page that names no Python types.

Typer writes `<bool>` behind every flag and `<str>` behind every argument. Here a
parameter's name, metavar and help say what it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption


class Command(TyperCommand):
    """A command whose help names no types."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, `--help` included."""
        return _without_types(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands whose help names no types."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, `--help` included."""
        return _without_types(super().get_params(ctx))


class App(typer.Typer):
    """A Typer application with these commands and groups."""

    def __init__(self, *, cls: type[Group] = Group, **options: Any) -> None:
        super().__init__(cls=cls, no_args_is_help=True, rich_markup_mode="markdown", **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[..., Any]:
        """Register a function as a command."""
        return super().command(name, cls=Command, **options)


def _without_types(params: list[Any]) -> list[Any]:
    for param in params:
        flag = isinstance(param, TyperOption) and param.is_flag
        if flag or isinstance(param, TyperArgument):
            # Typer has no setting for this, and an argument's metavar is its name.
            vars(param)["display_type_rich"] = _no_type
    return params


def _no_type(ctx: Any) -> None:
    return None
