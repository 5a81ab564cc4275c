"""A server that only calls a hosted model stays light."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "torch",
    "transformers",
    "tokenizers",
    "trl",
    "peft",
    "textworld",
    "alfworld",
    "qdrant_edge",
    "qdrant_client",
)


@pytest.mark.parametrize(
    "module",
    [
        "apprentice.graphs.episode",
        "apprentice.graphs.exemplar",
        "apprentice.graphs.expel",
        "apprentice.graphs.feedback",
        "apprentice.graphs.insights",
        "apprentice.graphs.reflexion",
        "apprentice.graphs.training",
        "apprentice.memory.store",
    ],
)
def test_importing_a_graph_imports_nothing_heavy(module: str) -> None:
    script = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=600, check=True
    )
    assert done.stdout.strip() == "[]"


WITHOUT_MEMORY = """
import asyncio, sys
for name in ("qdrant_edge", "qdrant_client"):
    sys.modules[name] = None
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if "qdrant" in name else found(name, *more)
from langgraph.store.memory import InMemoryStore
from apprentice.graphs import feedback, reflexion
from apprentice.nodes.experience import experience
from tests.experts import expert_agent

task = {"environment": "household/north/small", "id": "test/1"}
graph = reflexion.build(expert_agent, memory=experience).compile(store=InMemoryStore())
print(asyncio.run(graph.ainvoke({"task": task}))["outcome"])
sent = {"messages": [{"role": "user", "content": "Hello"}]}
try:
    asyncio.run(feedback.graph.ainvoke(sent))
except Exception as error:
    print(type(error).__name__, error)
"""


def test_without_the_extra_nothing_is_recorded_unless_it_is_asked_for(
    tmp_path: Path, root: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_MEMORY],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    outcome, error = done.stdout.splitlines()
    assert outcome == "solved"
    assert error.startswith("MissingPart The experience memory needs packages that are not inst")
    assert error.endswith("pip install -c constraints.txt -e '.[memory]'")
