"""The help pages, read as people see them: in a terminal of 80 columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from apprentice.cli.app import app


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


PATHS = list(commands(get_command(app)))


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_a_help_page_names_no_types_and_fits(path: tuple[str, ...]) -> None:
    page = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "80"}).output
    assert re.findall(r"<[a-z\[\]]+>", page) == []
    assert "Show this message and" in page
    assert max(map(len, page.splitlines())) <= 80


def test_every_command_is_looked_at() -> None:
    assert len(PATHS) > 20
    assert ("rules", "withdraw") in PATHS
