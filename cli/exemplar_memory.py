"""A memory of solved training tasks, and the practice that fills it.

In the practice the evaluated model attempts training tasks with reflexion until enough are solved.
Each evaluation gets a new memory in a temporary folder, so its content is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from apprentice.cli import journal
from apprentice.cli.evaluation import (
    EvaluationListener,
    checked_plan,
    context_of,
    evaluate,
    run_name,
    technique,
)
from apprentice.cli.journal import Journal, Plan, TaskResult
from apprentice.cli.techniques import TECHNIQUES
from apprentice.memory.experience import OpenExperience
from apprentice.state.errors import BadInput
from apprentice.state.trajectory import Trajectory
from apprentice.workspace import Workspace

SPLIT: Final = "train"
TRIALS: Final = 3
_PATIENCE: Final = 3  # the most training tasks for each success that is requested


def practice_plan(workspace: Workspace, plan: Plan) -> Plan:
    """Return the practice of a plan's model: reflexion on training tasks."""
    return checked_plan(
        workspace,
        environment=plan.environment,
        split=SPLIT,
        technique="reflexion",
        model=plan.model,
        adapter=plan.adapter,
        trials=TRIALS,
        temperature=0.0,
        seed=plan.seed,
        limit=1,
    )


async def practise(
    workspace: Workspace,
    path: Path,
    plan: Plan,
    count: int,
    listener: EvaluationListener,
    slots: asyncio.Semaphore,
) -> list[Trajectory]:
    """Return up to `count` successes in the order of their tasks; `path` is the journal.

    There are fewer if the environment has no more tasks, or if too few tasks are solved.
    """
    limit = count
    while True:
        with journal.open_journal(path, plan.model_copy(update={"limit": limit})) as record:
            results = await evaluate(workspace, record, listener, slots)
        every = [attempt for result in results for attempt in result.attempts]
        successes = [attempt for attempt in every if attempt.verdict.success]
        missing_count = count - len(successes)
        if missing_count <= 0 or len(results) < limit or limit >= _PATIENCE * count:
            return successes[:count]
        limit = min(limit + 2 * missing_count, _PATIENCE * count)


@asynccontextmanager
async def memory_of(
    workspace: Workspace, plans: Sequence[Plan], successes: Sequence[Trajectory]
) -> AsyncIterator[OpenExperience]:
    """Open a new memory in which each plan's tenant has the successes that the plan requests.

    Raises:
        MissingPart: a package of the memory is not installed.
    """
    with TemporaryDirectory(prefix="apprentice-") as folder:
        memories = workspace.experiences_in(Path(folder))
        try:
            for plan in plans:
                tenant = context_of(plan, workspace).tenant
                own = [each.model_copy(update={"tenant": tenant}) for each in successes]
                await (await memories.open(tenant)).record(own[: plan.exemplars])
            yield memories.open
        finally:
            await memories.close()


async def evaluate_with_exemplars(
    workspace: Workspace,
    record: Journal,
    listener: EvaluationListener,
    practice_listener: EvaluationListener,
    slots: asyncio.Semaphore,
    donors: Sequence[TaskResult] = (),
) -> list[TaskResult]:
    """Evaluate a journal's plan, with a practice first if the plan needs exemplars.

    Raises:
        BadInput: too few training tasks are solved.
    """
    plan = record.plan
    if TECHNIQUES[technique(plan.technique)].recall is None or plan.tenant:
        return await evaluate(workspace, record, listener, slots, donors)
    successes: list[Trajectory] = []
    if plan.exemplars:
        own = practice_plan(workspace, plan)
        path = record.path.with_name(f"practice-{run_name(own)[:12]}.jsonl")
        successes = await practise(workspace, path, own, plan.exemplars, practice_listener, slots)
        if len(successes) < plan.exemplars:
            raise BadInput(
                f"The model solved only {len(successes)} training tasks, so the memory cannot have "
                f"{plan.exemplars} exemplars. Request fewer with --exemplars."
            )
    async with memory_of(workspace, [plan], successes) as experience:
        return await evaluate(workspace, record, listener, slots, experience=experience)
