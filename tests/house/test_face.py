"""`import apprentice` shows one small, complete and lazy face."""

from __future__ import annotations

import ast
import asyncio
import doctest
import inspect
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import apprentice

FACE = [
    "ApprenticeError",
    "BadInput",
    "BrokenData",
    "Context",
    "Environment",
    "Experience",
    "MissingPart",
    "ModelFailure",
    "Observation",
    "Query",
    "Settings",
    "Simulator",
    "Task",
    "Trajectory",
    "UnknownName",
    "Verdict",
    "Workspace",
    "build_episode",
    "build_exemplar",
    "build_expel",
    "build_feedback",
    "build_insights",
    "build_reflexion",
    "build_training",
    "export_attempts",
    "import_attempts",
    "read_jsonl",
]
ROOT = Path(__file__).resolve().parents[2]


def test_the_face_is_this_list() -> None:
    assert apprentice.__all__ == dir(apprentice) == FACE == sorted(FACE)
    names = {name: getattr(apprentice, name) for name in FACE}
    assert all(callable(value) for value in names.values())
    with pytest.raises(AttributeError, match="no attribute 'reflexion_graph'"):
        apprentice.reflexion_graph  # noqa: B018


def test_importing_the_face_loads_nothing_of_others() -> None:
    script = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import apprentice\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new - set(sys.stdlib_module_names)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['apprentice']"


@pytest.mark.parametrize("name", FACE)
def test_every_name_has_an_example_that_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Doctests are run; examples that need a model or a store are code that compiles."""
    monkeypatch.chdir(tmp_path)
    doc = inspect.getdoc(getattr(apprentice, name)) or ""
    assert "Example:\n" in doc
    example = textwrap.dedent(doc.partition("Example:\n")[2])
    example = re.split(r"\n\n(?=[A-Z]\w+:\n)", example)[0]
    if ">>>" not in example:
        compile(example, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        return
    face: dict[str, Any] = {each: getattr(apprentice, each) for each in FACE}
    test = doctest.DocTestParser().get_doctest(
        example, face | {"Path": Path, "asyncio": asyncio}, name, None, None
    )
    report: list[str] = []
    results = doctest.DocTestRunner().run(test, out=report.append)
    assert results.attempted
    assert not results.failed, "".join(report)


def test_the_readme_and_the_examples_use_the_face_alone() -> None:
    texts = [ROOT / "README.md", *(ROOT / "examples").rglob("*.py")]
    inner = r"^\s*(?:from|import) apprentice\.(?!testing\b)[\w.]+"
    used = {
        f"{path.relative_to(ROOT)}: {line}"
        for path in texts
        for line in re.findall(inner, path.read_text(), re.MULTILINE)
    }
    assert used == set()
