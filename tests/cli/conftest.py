"""The command line with the scripted pupil in place of every model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from langchain_core.language_models import BaseChatModel
from typer.testing import CliRunner, Result

from cli import evaluation, rules
from cli.app import app
from nodes import agents
from tests.cli import pupil

Apprentice = Callable[..., Result]


def run(*arguments: str | Path) -> Result:
    """Run the command in this process; errors that are not its own are raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def play(patch: pytest.MonkeyPatch, chat: Callable[..., BaseChatModel]) -> None:
    """Put what a function returns in place of every model."""
    patch.setattr(agents, "chat", chat)
    patch.setattr(evaluation, "chat", chat)
    patch.setattr(rules, "chat", chat)


def prepare(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Put the pupil in place of every model, and everything that is written into a folder."""
    play(patch, pupil.chat)
    patch.chdir(folder)
    patch.setenv("COLUMNS", "200")
    patch.setenv("APPRENTICE_DATA", str(folder / "data"))


@pytest.fixture
def apprentice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Apprentice:
    """Run the command in a folder of its own, on a terminal 200 columns wide."""
    prepare(monkeypatch, tmp_path)
    return run
