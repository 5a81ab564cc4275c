"""The command line with the scripted pupil in place of every model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from langchain_core.language_models import BaseChatModel
from typer.testing import CliRunner, Result

from apprentice.cli import evaluation, exemplar_memory
from apprentice.cli.app import app
from apprentice.memory.experience import opening
from apprentice.nodes import agents, experience
from tests.cli import pupil
from tests.memory.experience.attempts import Words

Apprentice = Callable[..., Result]


def run(*arguments: str | Path, answers: str = "") -> Result:
    """Run the command in this process; errors that are not its own are raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=answers)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def play(patch: pytest.MonkeyPatch, chat: Callable[..., BaseChatModel]) -> None:
    """Put what a function returns in place of every model."""
    patch.setattr(agents, "chat", chat)
    patch.setattr(evaluation, "chat", chat)


def prepare(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Put the pupil in place of every model, and everything that is written into a folder."""
    play(patch, pupil.chat)
    for module in (exemplar_memory, experience):
        patch.setattr(module, "embeddings", lambda name: Words())
    patch.chdir(folder)
    patch.setenv("COLUMNS", "200")
    patch.setenv("APPRENTICE_DATA", str(folder / "data"))
    patch.delenv("QDRANT_URL", raising=False)


@pytest.fixture
def apprentice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Apprentice]:
    """Run the command in a folder of its own, on a terminal 200 columns wide."""
    prepare(monkeypatch, tmp_path)
    yield run
    asyncio.run(opening.close())
