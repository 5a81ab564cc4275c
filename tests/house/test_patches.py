"""Tests give parts to what they test; they do not patch the project's modules.

A test passes what it needs as an argument, or brings a fault about with a real file, process or
model. Only a part of another package may be patched, such as an entry of `sys.modules`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
OTHERS: Final = frozenset({"gc", "scoring", "shutil", "sys", "time", "torch", "warnings"})
"""Names of other packages, and of their modules, that a test may patch."""
SETTERS: Final = frozenset({"setattr", "setitem", "delattr", "delitem"})
MOCK: Final = frozenset({"mock", "mocker", "patch"})
WAYS: Final = frozenset({"", "object", "dict", "multiple"})
"""What follows `patch` in a call of `unittest.mock.patch`."""


def patches(source: str) -> Iterator[str]:
    """Find the patches in a source, save those of other packages.

    They are calls such as `monkeypatch.setattr`, and each use of `unittest.mock.patch` or of the
    fixture `mocker`, also as a decorator.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unittest"):
            yield from (ast.unparse(node) for name in node.names if name.name in MOCK)
        elif isinstance(node, ast.Import):
            yield from (ast.unparse(node) for name in node.names if name.name == "unittest.mock")
        elif isinstance(node, ast.arg) and node.arg == "mocker":
            yield node.arg
        elif (
            isinstance(node, ast.Call)
            and node.args
            and _patches(node.func)
            and _package(node.args[0]) not in OTHERS
        ):
            yield ast.unparse(node)


def _patches(function: ast.expr) -> bool:
    """Return whether a function replaces an attribute or an item."""
    name = ast.unparse(function)
    if isinstance(function, ast.Attribute) and function.attr in SETTERS:
        return True
    before, is_patch, way = f".{name}.".rpartition(".patch.")
    return bool(is_patch) and way.strip(".") in WAYS and before.rpartition(".")[2] in {"", *MOCK}


def _package(target: ast.expr) -> str:
    """Return the first name of what is patched: an object, or its path as a text."""
    text = target.value if isinstance(target, ast.Constant) else ast.unparse(target)
    return str(text).split(".")[0]


def test_no_test_patches_a_module_of_the_project() -> None:
    each = {
        file.relative_to(TESTS).as_posix(): list(patches(file.read_text()))
        for file in TESTS.rglob("*.py")
    }
    assert {name: calls for name, calls in each.items() if calls} == {}


@pytest.mark.parametrize(
    "source",
    [
        'monkeypatch.setattr(engine, "LIMIT", 7)',
        'monkeypatch.setattr("apprentice.models.engine.LIMIT", 7)',
        'monkeypatch.delattr("apprentice.models.engine.LIMIT")',
        'monkeypatch.setitem(engine._engines, "a", None)',
        'with pytest.MonkeyPatch.context() as patch:\n    patch.setattr(Llama, "forward", broken)',
        'pytest.MonkeyPatch().setattr(engine, "LIMIT", 7)',
        "import unittest.mock",
        "from unittest.mock import patch",
        "from unittest import mock",
        'with patch("apprentice.models.engine.LIMIT", 7): ...',
        'with patch.object(engine, "LIMIT", 7): ...',
        'with patch.dict("apprentice.models.engine._engines"): ...',
        'with mock.patch("apprentice.models.engine.LIMIT", 7): ...',
        'with unittest.mock.patch.object(engine, "LIMIT", 7): ...',
        '@patch("apprentice.models.engine.LIMIT", 7)\ndef test_it() -> None: ...',
        "def test_it(mocker: MockerFixture) -> None: ...",
        'mocker.patch("apprentice.models.engine.LIMIT", 7)',
        'mocker.patch.object(engine, "LIMIT", 7)',
    ],
)
def test_a_patch_of_the_project_is_seen(source: str) -> None:
    assert list(patches(source))


@pytest.mark.parametrize(
    "source",
    [
        'monkeypatch.setitem(sys.modules, "torch", None)',
        'monkeypatch.setattr("time.time", lambda: 0.0)',
        'monkeypatch.setattr(torch.cuda, "is_available", lambda: True)',
        'monkeypatch.setenv("OPENAI_API_KEY", "any")',
        "with pytest.MonkeyPatch.context() as patch:\n    patch.chdir(folder)",
        "client.patch(address, json={})",
        'setattr(runner, "name", 1)',
    ],
)
def test_what_is_no_patch_of_the_project_is_allowed(source: str) -> None:
    assert not list(patches(source))
