"""The command line with the scripted pupil in place of every model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import models
from cli.app import app
from tests.cli import pupil

Apprentice = Callable[..., Result]


@pytest.fixture
def apprentice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Apprentice:
    """Run the command in a folder of its own, on a terminal 200 columns wide."""
    monkeypatch.setattr(models, "chat", pupil.chat)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("APPRENTICE_DATA", str(tmp_path / "data"))

    def run(*arguments: str | Path) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run
