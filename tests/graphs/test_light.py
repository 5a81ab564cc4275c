"""A server that only calls a hosted model stays light."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "trl", "peft", "textworld", "alfworld")


@pytest.mark.parametrize(
    "module", ["graphs.episode", "graphs.reflexion", "graphs.expel", "memory.store"]
)
def test_importing_a_graph_imports_nothing_heavy(module: str) -> None:
    script = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
