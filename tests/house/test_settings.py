"""One place reads the environment, and says what it read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from typer.testing import CliRunner

from apprentice.cli.app import app
from apprentice.settings import MASK, Settings, example
from apprentice.state.errors import BadInput
from apprentice.workspace import Workspace

ROOMS = ("apprentice", "cli", "environments", "graphs", "memory", "models", "nodes", "state")
ALLOWED = Path("apprentice/settings.py")


def readers(root: Path) -> list[str]:
    """Return where the product touches the environment, or a file of settings."""
    found = []
    for room in (*ROOMS, "training"):
        for file in (root / room).rglob("*.py"):
            name = file.relative_to(root)
            if name == ALLOWED or any(part.is_symlink() for part in (file, *file.parents)):
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                touched = (
                    (isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"))
                    or (isinstance(node, ast.alias) and node.name in ("environ", "getenv"))
                    or (isinstance(node, ast.ImportFrom) and node.module == "dotenv")
                )
                if touched:
                    found.append(f"{name}:{getattr(node, 'lineno', 0)}")
    return found


def test_no_other_module_reads_the_environment(root: Path) -> None:
    assert readers(root) == []


def test_the_example_is_made_of_the_settings(root: Path) -> None:
    assert (root / ".env.example").read_text() == example()
    done = CliRunner().invoke(app, ["settings", "--example"])
    assert done.output == example()


def test_every_setting_has_one_sentence() -> None:
    for each in Settings().entries():
        assert each.description.endswith("."), each.name
        assert 20 < len(each.description) <= 110, each.name


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("APPRENTICE_TRAIN_AFTER", "200 # note", "APPRENTICE_TRAIN_AFTER is '200 # note'"),
        ("APPRENTICE_TRAIN_AFTER", "-1", "APPRENTICE_TRAIN_AFTER is '-1'"),
        ("APPRENTICE_DEVICE", "the fast one", "APPRENTICE_DEVICE is 'the fast one'"),
        ("LANGSMITH_TRACING", "perhaps", "LANGSMITH_TRACING is 'perhaps'"),
    ],
)
def test_a_bad_value_is_a_sentence_that_names_it(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadInput, match=said) as refused:
        Settings()
    assert str(refused.value).endswith("in the environment or in .env.")
    done = CliRunner().invoke(app, ["settings"], obj=Workspace())
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for field in Settings.model_fields.values():
        monkeypatch.setenv(str(field.validation_alias), "")
    empty = Workspace()
    assert empty.settings == Settings()
    assert {each.source for each in empty.settings.entries()} == {"default"}
    folder = Path("apprentice-data")
    assert (empty.data, empty.jobs) == (folder, folder / "jobs")
    assert empty.adapters.root == folder / "adapters"
    assert empty.rounds("t", "e", "b").root == folder


def test_each_value_says_where_it_comes_from_and_secrets_are_masked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("APPRENTICE_MODEL=openai:gpt-5-mini\nQDRANT_API_KEY=secret-1\nX=1\n")
    monkeypatch.setenv("APPRENTICE_TRAIN_AFTER", "7")
    monkeypatch.setenv("OPENAI_API_KEY", "secret-2")
    found = {each.name: (each.value, each.source) for each in Settings().entries()}
    assert found["APPRENTICE_MODEL"] == ("openai:gpt-5-mini", ".env")
    assert found["QDRANT_API_KEY"] == (MASK, ".env")
    assert found["APPRENTICE_TRAIN_AFTER"] == ("7", "environment")
    assert found["OPENAI_API_KEY"] == (MASK, "environment")
    assert found["APPRENTICE_DEVICE"] == ("", "default")
    done = CliRunner().invoke(app, ["settings"], obj=Workspace(settings=Settings()))
    assert "openai:gpt-5-mini" in done.output
    assert "secret" not in done.output


def test_the_environment_has_the_last_word_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("APPRENTICE_MODEL=openai:a\nGROQ_API_KEY=one\n")
    monkeypatch.setenv("APPRENTICE_MODEL", "openai:b")
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    settings = Settings()
    assert settings.model == "openai:b"
    assert settings.has_key(["NOBODYS_KEY", "GROQ_API_KEY"])
    assert not settings.has_key(["NOBODYS_KEY"])


def test_a_process_of_ones_own_gets_the_settings_that_hold_here(tmp_path: Path) -> None:
    here = Settings(tasks=tmp_path / "tasks", judge="openai:j", qdrant_api_key="secret")
    told = here.for_process(data=Path("data"), device="cpu")
    assert told["APPRENTICE_TASKS"] == str(tmp_path / "tasks")
    assert told["APPRENTICE_JUDGE"] == "openai:j"
    assert told["QDRANT_API_KEY"] == "secret"
    assert told["APPRENTICE_DATA"] == str(Path("data").absolute())
    assert told["APPRENTICE_DEVICE"] == "cpu"
    assert "APPRENTICE_TRAIN_AFTER" not in told
