"""draw: what a run of expel works on is read, and its training tasks are drawn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final
from uuid import uuid4

from langgraph.runtime import Runtime

from apprentice.environments.protocol import Environment
from apprentice.nodes import Node
from apprentice.nodes.kept import releases_of
from apprentice.nodes.tasks import read_flag, read_name, read_number
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
from apprentice.state.nouns import Task
from apprentice.workspace import Workspace

TRAINING: Final = ("train",)
VALIDATION: Final = ("validation", "valid_seen", "valid", "dev")
_SEEDS: Final = 900_000


def draw_in(workspace: Workspace) -> Node[ExpelGiven, ExpelUpdate]:
    """Return the node that draws a run's training tasks."""

    async def draw(state: ExpelGiven, runtime: Runtime[Context]) -> ExpelUpdate:
        """Draw fresh training tasks, and look up what is released; what the thread held is over."""
        named = read_name("environment", state.environment)
        if not named:
            raise BadInput(
                'No environment was given. The input needs one: {"environment": '
                '"household/north/small"}.'
            )
        where = await asyncio.to_thread(workspace.environment, named)
        tasks = read_number("tasks", state.tasks, TASKS, 0, MAX_TASKS)
        run = _run_name(state, runtime)
        runtime.stream_writer(
            {"type": "expel.begun", "run": run, "environment": where.name, "tasks": tasks}
        )
        return {
            "run_name": run,
            "environment": where.name,
            "tasks_drawn": await asyncio.to_thread(drawn, where, TRAINING, run, tasks),
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

    return draw


def drawn(where: Environment, splits: Iterable[str], run: str, count: int) -> list[Task]:
    """Return up to so many tasks of the first of some splits that there is; a run has its own.

    Raises:
        BadInput: if the environment has none of the splits.
    """
    wanted = tuple(splits)
    split = next((name for name in wanted if name in where.splits), None)
    if split is None:
        raise BadInput(
            f"The environment {where.name!r} has the splits {', '.join(where.splits)}, but tasks "
            f"of {' or '.join(wanted)} are needed."
        )
    return list(where.tasks(split, count, fresh_seed(run, split, below=_SEEDS)))


def _run_name(state: ExpelGiven, runtime: Runtime[Context]) -> str:
    """Return the name given, else the run's id, else a fresh one: kept in the state from here."""
    info = runtime.execution_info
    return read_name("run", state.run) or (info and info.run_id) or str(uuid4())
