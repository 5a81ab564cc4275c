"""Tests give parts to what they test; they do not patch the project's modules.

A test builds a `Workspace` and passes its parts as arguments. `LEFT` lists the patches that are
left, and only gets shorter.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[1]
OTHERS: Final = frozenset({"gc", "scoring", "shutil", "sys", "time", "torch", "warnings"})
LEFT: Final = Counter(
    {
        "cli/test_evaluate.py": 1,
        "cli/test_learn.py": 1,
        "cli/test_rules.py": 2,
        "models/test_local.py": 8,
        "models/test_toolcalls.py": 1,
        "training/test_adapters.py": 1,
        "training/test_sft.py": 1,
    }
)


def patches(file: Path) -> Iterator[ast.Call]:
    """Find the patches of a file, save those of other packages."""
    for node in ast.walk(ast.parse(file.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        if node.func.attr not in {"setattr", "setitem", "delattr"}:
            continue
        if ast.unparse(node.func.value) not in {"monkeypatch", "patch"}:
            continue
        if ast.unparse(node.args[0]).split(".")[0] not in OTHERS:
            yield node


def test_no_test_patches_a_module_of_the_project() -> None:
    found = Counter(
        file.relative_to(TESTS).as_posix() for file in TESTS.rglob("*.py") for _ in patches(file)
    )
    assert found == LEFT
