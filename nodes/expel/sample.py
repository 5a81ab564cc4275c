"""sample: read the input of a run, and sample its training tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final
from uuid import uuid4

from langgraph.runtime import Runtime

from apprentice.environments.protocol import Environment
from apprentice.nodes import Node
from apprentice.nodes.inputs import read_flag, read_name, read_number
from apprentice.nodes.stores import releases_of
from apprentice.state.context import Context
from apprentice.state.critique import CHUNK
from apprentice.state.errors import BadInput
from apprentice.state.expel import (
    HELD_OUT,
    MAX_CHUNK,
    MAX_HELD_OUT,
    MAX_TASKS,
    TASKS,
    ExpelGiven,
    ExpelUpdate,
    OperationCounts,
)
from apprentice.state.gate import fresh_seed
from apprentice.state.trajectory import Task
from apprentice.workspace import Workspace

TRAINING: Final = ("train",)
VALIDATION: Final = ("validation", "valid_seen", "valid", "dev")
_SEEDS: Final = 900_000


def sample_in(workspace: Workspace) -> Node[ExpelGiven, ExpelUpdate]:
    """Return the node that samples a run's training tasks."""

    async def sample(state: ExpelGiven, runtime: Runtime[Context]) -> ExpelUpdate:
        """Sample training tasks and look up the release; clear what the thread held before."""
        name = read_name("environment", state.environment)
        if not name:
            raise BadInput(
                'No environment was given. The input needs one: {"environment": '
                '"household/north/small"}.'
            )
        where = await asyncio.to_thread(workspace.environment, name)
        tasks = read_number("tasks", state.tasks, TASKS, 0, MAX_TASKS)
        run = _run_name(state, runtime)
        runtime.stream_writer(
            {"type": "expel.started", "run": run, "environment": where.name, "tasks": tasks}
        )
        return {
            "run_name": run,
            "environment": where.name,
            "tasks_drawn": await asyncio.to_thread(sample_tasks, where, TRAINING, run, tasks),
            "most_held_out": read_number("held_out", state.held_out, HELD_OUT, 0, MAX_HELD_OUT),
            "chunk_size": read_number("chunk", state.chunk, CHUNK, 1, MAX_CHUNK),
            "ask_person": read_flag("review", state.review),
            "incumbent": await releases_of(runtime, where.name).current(),
            "evidence": [],
            "operations": OperationCounts(),
            "rejections": [],
            "candidate": None,
            "proposed": [],
            "waiting": [],
            "level": 0.0,
            "looks": 0,
            "validation": None,
            "outcome": None,
            "reason": "",
        }

    return sample


def sample_tasks(where: Environment, splits: Iterable[str], run: str, count: int) -> list[Task]:
    """Sample up to `count` tasks of the first of these splits that the environment has.

    The run's name seeds the sample, so each run has its own.

    Raises:
        BadInput: the environment has none of the splits.
    """
    names = tuple(splits)
    split = next((name for name in names if name in where.splits), None)
    if split is None:
        raise BadInput(
            f"The environment {where.name!r} has the splits {', '.join(where.splits)}, but "
            f"tasks of {' or '.join(names)} are needed."
        )
    return list(where.tasks(split, count, fresh_seed(run, split, below=_SEEDS)))


def _run_name(state: ExpelGiven, runtime: Runtime[Context]) -> str:
    """Return the name of the run: the given one, else the run's id, else a new one."""
    info = runtime.execution_info
    return read_name("run", state.run) or (info and info.run_id) or str(uuid4())
