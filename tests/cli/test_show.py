"""`apprentice show` and the command's own face."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from apprentice.cli import journal
from apprentice.cli.app import app
from apprentice.state.trajectory import text_of
from tests.cli.conftest import Apprentice


def test_an_attempt_is_shown_whole(apprentice: Apprentice) -> None:
    apprentice("evaluate", "--limit", "2", "--json", "a.json")
    _, finished = journal.read(Path("a.json"))
    attempt = finished[0].attempts[0]
    listed = apprentice("show", "a.json")
    assert attempt.id[:8] in listed.output
    shown = apprentice("show", "a.json", attempt.id[:8])
    assert shown.exit_code == 0
    page = " ".join(shown.output.split())
    for message in attempt.messages:
        for line in text_of(message).splitlines():
            assert " ".join(line.split()) in page
    assert "solved" in page


def test_an_id_that_fits_no_attempt_or_several_is_refused(apprentice: Apprentice) -> None:
    apprentice("evaluate", "--limit", "20", "--json", "a.json")
    _, finished = journal.read(Path("a.json"))
    ids = [each.id for done in finished for each in done.attempts]
    shared = next(i[0] for i in ids if sum(other.startswith(i[0]) for other in ids) > 1)
    for asked, said in (
        ("zzz", "No attempt's id begins with 'zzz'"),
        (shared, "attempts begin with"),
    ):
        result = apprentice("show", "a.json", asked)
        assert result.exit_code == 2
        assert said in result.output


def test_a_file_that_is_none_is_a_sentence(apprentice: Apprentice) -> None:
    missing = apprentice("show", "nowhere.json")
    assert missing.exit_code == 2
    assert "nowhere.jsonl cannot be read" in missing.output
    Path("b.jsonl").write_text("{}\n")
    broken = apprentice("show", "b.jsonl")
    assert broken.exit_code == 1
    assert "Line 1 of b.jsonl" in broken.output


def test_help_names_every_command_and_option(apprentice: Apprentice) -> None:
    face = apprentice("--help")
    assert face.exit_code == 0
    for command in ("evaluate", "learn", "show"):
        assert command in face.output
        assert apprentice(command, "--help").exit_code == 0
    assert "Exit codes: 0 success" in face.output


def test_the_examples_in_the_help_have_options_that_exist(apprentice: Apprentice) -> None:
    page = apprentice("evaluate", "--help").output
    table, _, told = page.partition("Two examples")
    examples = re.findall(r"apprentice evaluate (.+)", told)
    assert len(examples) == 2
    for option in re.findall(r"--[a-z-]+", " ".join(examples)):
        assert f"{option} " in table


def test_version_is_the_projects(apprentice: Apprentice, root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    result = apprentice("--version")
    assert result.exit_code == 0
    assert result.output.strip() == f"apprentice {project['version']}"


def pages(group: Any, *names: str) -> Iterator[tuple[str, ...]]:
    """Yield every command, as it is called."""
    yield names
    for name, command in getattr(group, "commands", {}).items():
        yield from pages(command, *names, name)


def test_no_help_page_is_cut_off_on_a_narrow_terminal(
    apprentice: Apprentice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    every = list(pages(typer.main.get_command(app)))
    assert ("rules", "learn") in every
    for names in every:
        page = apprentice(*names, "--help").output
        assert "…" not in page, names
        assert max(map(len, page.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("evaluate", "--model", "local:nope"), 2),
        (("learn", "--model", "local:nope"), 2),
        (("rules", "learn", "--model", "local:nope"), 2),
        (("evaluate", "--environment", "nowhere"), 2),
        (("evaluate", "--limit", "many"), 2),
        (("evaluate", "--model", "openai:gpt-5-mini"), 1),
        (("evaluate", "--environment", "alfworld", "--split", "train"), 1),
    ],
)
def test_what_cannot_be_ends_otherwise_than_what_is_missing(
    apprentice: Apprentice,
    tmp_path: Path,
    arguments: tuple[str, ...],
    code: int,
) -> None:
    apprentice.chat = None
    ended = apprentice(*arguments)
    assert ended.exit_code == code
    assert "Error" in ended.stderr
    assert ended.stdout == ""  # no progress was shown
    assert not list(tmp_path.iterdir())
