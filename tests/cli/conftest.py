"""The command line with the scripted pupil in place of every model."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from typer.testing import CliRunner, Result

from apprentice.cli.app import app
from apprentice.settings import Settings
from apprentice.workspace import Workspace
from tests.cli import pupil
from tests.memory.experience.attempts import Words


class TerminalRunner(CliRunner):
    """Runs a command whose standard input is a terminal."""

    @contextmanager
    def isolation(self, *arguments: Any, **options: Any) -> Iterator[Any]:
        """Replace the standard streams."""
        with super().isolation(*arguments, **options) as streams:
            sys.stdin.isatty = lambda: True  # type: ignore[method-assign]
            yield streams


class Apprentice:
    """Runs the command in this process, in a workspace whose data is in a folder of its own.

    Attributes:
        chat: makes the model of a name; None for the real ones.
        spawn: does what the process of a training job would.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.chat: Callable[..., BaseChatModel] | None = pupil.chat
        self.spawn: Callable[[Path], object] | None = None
        self.workspace = Workspace(
            folder / "data",
            model="local:novice",
            settings=Settings(**{"qdrant_url": ""} | settings),
            embeddings=Words(),
            chat_models=self._chat,
            spawn=self._spawn,
        )

    def __call__(
        self, *arguments: str | Path, answers: str = "", at_terminal: bool = False
    ) -> Result:
        """Run the command; errors that are not its own are raised.

        Args:
            arguments: of the command.
            answers: what a person types.
            at_terminal: whether the person types at a terminal.
        """
        given = [str(argument) for argument in arguments]
        runner = TerminalRunner() if at_terminal else CliRunner()
        result = runner.invoke(app, given, input=answers, obj=self.workspace)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def close(self) -> None:
        """Close what the commands left open."""
        asyncio.run(self.workspace.close())

    def _chat(self, name: str, **settings: Any) -> BaseChatModel:
        return (self.chat or self.workspace.models.chat)(name, **settings)

    def _spawn(self, folder: Path, *options: str) -> None:
        assert self.spawn, "No test here starts a process."
        self.spawn(folder)


def enter(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Work in a folder, on a terminal 200 columns wide."""
    patch.chdir(folder)
    patch.setenv("COLUMNS", "200")


@pytest.fixture
def apprentice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Apprentice]:
    """Run the command in a folder of its own, on a terminal 200 columns wide."""
    enter(monkeypatch, tmp_path)
    made = Apprentice(tmp_path)
    yield made
    made.close()
