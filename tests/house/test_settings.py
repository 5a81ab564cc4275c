"""One place reads the environment, and says what it read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from typer.testing import CliRunner

from apprentice.cli.app import app
from apprentice.settings import MASK, Settings, example
from apprentice.state.errors import BadInput, UnknownName
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
    assert len(list((root / "nodes").rglob("*.py"))) > 30
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
    assert Settings().model == "openai:b"
    assert not Settings().has_key(["GROQ_API_KEY"])  # its client could not read it either
    settings = Settings.of_process()
    assert settings.model == "openai:b"
    assert settings.has_key(["NOBODYS_KEY", "GROQ_API_KEY"])
    assert not settings.has_key(["NOBODYS_KEY"])
    monkeypatch.delenv("GROQ_API_KEY")


def test_a_misspelt_setting_is_refused_by_name() -> None:
    with pytest.raises(UnknownName, match=r"Unknown setting 'modle'\. Did you mean 'model'"):
        Settings(modle="openai:a")


def test_the_user_and_the_password_of_an_address_are_masked() -> None:
    settings = Settings(qdrant_url="http://bob:hunter2@host:6333", judge="openai:code")
    entries = {each.name: (each.value, each.source) for each in settings.entries()}
    assert entries["QDRANT_URL"] == ("http://***@host:6333", "code")
    assert entries["APPRENTICE_JUDGE"] == ("openai:code", "code")


def test_two_workspaces_have_two_accounts(tmp_path: Path) -> None:
    settings = [
        Settings(openai_api_key=f"sk-{name}", openai_base_url=f"http://127.0.0.1/{name}")
        for name in ("one", "two")
    ]
    clients = [Workspace(tmp_path, settings=each).chat("openai:m") for each in settings]
    assert [client.openai_api_base for client in clients] == [  # type: ignore[attr-defined]
        "http://127.0.0.1/one",
        "http://127.0.0.1/two",
    ]
    keys = [client.openai_api_key.get_secret_value() for client in clients]  # type: ignore[attr-defined]
    assert keys == ["sk-one", "sk-two"]


def test_a_process_of_ones_own_gets_the_settings_that_hold_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGSMITH_PROJECT", "of the environment")
    here = Settings(
        tasks=tmp_path / "tasks",
        judge="openai:j",
        qdrant_api_key="secret",
        langsmith_project="",
    )
    told = here.for_process(data=Path("data"), device="cpu")
    assert told["APPRENTICE_TASKS"] == str(tmp_path / "tasks")
    assert told["APPRENTICE_JUDGE"] == "openai:j"
    assert told["QDRANT_API_KEY"] == "secret"
    assert told["APPRENTICE_DATA"] == str(Path("data").absolute())
    assert told["APPRENTICE_DEVICE"] == "cpu"
    assert told["APPRENTICE_TRAIN_AFTER"] == "200"
    assert "LANGSMITH_PROJECT" not in told
