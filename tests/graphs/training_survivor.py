"""A process that looks after a training, to be killed and started again.

    python -m tests.graphs.training_survivor FOLDER PAUSE THREAD

It records attempts unless it finds them, runs the training graph until a round has ended, prints a
line for each event, and at the end what is on record as JSON. PAUSE is the time that a turn takes;
under the THREAD of a killed run it goes on from that run's checkpoints, under another one anew. In
the place of the trainer's process a few lines end each job well and write it down.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from apprentice.environments.household.expert import Knowledge
from apprentice.graphs import training
from apprentice.memory.releases import Releases
from apprentice.memory.run_results import Findings
from apprentice.models.names import LocalModels
from apprentice.settings import Settings
from apprentice.state.context import Context
from apprentice.state.training import AdapterComparison
from apprentice.testing import Scripted
from apprentice.training.adapters import Adapters
from apprentice.training.rounds import Rounds
from apprentice.workspace import Workspace
from tests.memory.experience.attempts import Words
from tests.training.attempts import NORTH, pairs, speaking, told
from tests.training.work import untrained

GIVEN: Any = {"environment": NORTH, "threshold": 100, "follow": True, "held_out": 72}
TENANT = "default"


def trainer(folder: Path, *_: str) -> None:
    """End a job well, in the place of the process that would train."""
    untrained(folder, Adapters(LocalModels(None, folder.parents[1] / "adapters")))
    with (folder.parent / "started").open("a") as file:
        file.write(f"{folder.name}\n")


async def main(folder: Path, pause: float, thread: str) -> dict[str, Any]:
    """Run, resume, or look again; return what is on record."""

    def chat(name: str, *, adapter: str = "", **_: Any) -> Scripted:
        return Scripted(speaking(told("north") if adapter else Knowledge()), delay=pause)

    workspace = Workspace(
        folder / "data",
        settings=Settings(qdrant_url=""),
        embeddings=Words(),
        chat_models=chat,
        spawn=trainer,
    )
    kept = await workspace.experience(TENANT)
    gathered = list(pairs(60))
    await kept.record(gathered)  # those that are there already stay as they are
    config = RunnableConfig(configurable={"thread_id": thread})
    async with (
        AsyncSqliteSaver.from_conn_string(str(folder / "checkpoints")) as saver,
        workspace.store() as known,
    ):
        graph: Any = training.build(workspace=workspace).compile(checkpointer=saver, store=known)
        given = None if (await graph.aget_state(config)).next else GIVEN
        async for event in graph.astream(
            given, config, context=Context(model="local:novice"), stream_mode="custom",
            durability="sync",
        ):  # fmt: skip
            print(json.dumps(event), flush=True)
        result = await on_record(known, workspace)
        result["attempts"] = len([one async for one in kept.browse()])
    await workspace.close()
    return result


async def on_record(known: Any, workspace: Workspace) -> dict[str, Any]:
    """Return what a round has left behind."""
    folder = workspace.data
    ended = [(begun, end) for begun, end in Rounds(folder, TENANT, NORTH, "novice").all()]
    (job,) = {begun.job for begun, _ in ended}
    tried = await Findings(known, TENANT, NORTH, job, AdapterComparison).all()
    releases = await Releases(known, TENANT, NORTH).all()
    return {
        "started": (folder / "jobs" / "started").read_text().split(),
        "rounds": [(begun.dataset, end.outcome if end else "") for begun, end in ended],
        "adapters": [(each.name, each.status) for each in workspace.adapters.all()],
        "releases": [each.adapter for each in releases],
        "tried": sorted((each.task, each.incumbent, each.candidate) for each in tried),
    }


if __name__ == "__main__":
    place = Path(sys.argv[1])
    print(json.dumps({"result": asyncio.run(main(place, float(sys.argv[2]), sys.argv[3]))}))
