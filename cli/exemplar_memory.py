"""Practice: training tasks attempted until enough are solved, and a memory of the solutions.

The attempts are the evaluated model's own, by reflexion. A memory is made anew for every
evaluation, in a folder that goes with it, so what it holds is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from apprentice.cli import journal
from apprentice.cli.evaluation import Watch, context_of, evaluate, planned, run_name, technique
from apprentice.cli.journal import Finished, Journal, Plan
from apprentice.cli.techniques import TECHNIQUES
from apprentice.memory.experience import OpenExperience
from apprentice.state.errors import BadInput
from apprentice.state.nouns import Trajectory
from apprentice.workspace import Workspace

SPLIT: Final = "train"
TRIALS: Final = 3
_PATIENCE: Final = 3  # training tasks attempted for every success that is wanted, at most


def practised(workspace: Workspace, plan: Plan) -> Plan:
    """Return the evaluation in which a plan's model practises."""
    return planned(
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
    wanted: int,
    watch: Watch,
    gate: asyncio.Semaphore,
) -> list[Trajectory]:
    """Return up to `wanted` successes, in the order of their tasks; journaled under `path`.

    There are fewer when the environment has no more tasks, or too many are not solved.
    """
    limit = wanted
    while True:
        with journal.opened(path, plan.model_copy(update={"limit": limit})) as kept:
            finished = await evaluate(workspace, kept, watch, gate)
        every = [attempt for done in finished for attempt in done.attempts]
        solved = [attempt for attempt in every if attempt.verdict.success]
        lacking = wanted - len(solved)
        if lacking <= 0 or len(finished) < limit or limit >= _PATIENCE * wanted:
            return solved[:wanted]
        limit = min(limit + 2 * lacking, _PATIENCE * wanted)


@asynccontextmanager
async def remembered(
    workspace: Workspace, plans: Sequence[Plan], solved: Sequence[Trajectory]
) -> AsyncIterator[OpenExperience]:
    """Open a memory in which each plan's tenant has the first of the successes, and nothing else.

    Raises:
        MissingPart: if what the memory needs is not installed.
    """
    with TemporaryDirectory(prefix="apprentice-") as folder:
        memories = workspace.experiences_in(Path(folder))
        try:
            for plan in plans:
                tenant = context_of(plan, workspace).tenant
                own = [each.model_copy(update={"tenant": tenant}) for each in solved]
                await (await memories.open(tenant)).record(own[: plan.successes])
            yield memories.open
        finally:
            await memories.close()


async def evaluated(
    workspace: Workspace,
    kept: Journal,
    watch: Watch,
    practice: Watch,
    gate: asyncio.Semaphore,
    donors: Sequence[Finished] = (),
) -> list[Finished]:
    """Evaluate a journal's plan, after practising for the memory that it needs, if any.

    Raises:
        BadInput: if too few training tasks are solved.
    """
    plan = kept.plan
    if TECHNIQUES[technique(plan.technique)].recall is None or plan.tenant:
        return await evaluate(workspace, kept, watch, gate, donors)
    solved: list[Trajectory] = []
    if plan.successes:
        own = practised(workspace, plan)
        path = kept.path.with_name(f"practice-{run_name(own)[:12]}.jsonl")
        solved = await practise(workspace, path, own, plan.successes, practice, gate)
        if len(solved) < plan.successes:
            raise BadInput(
                f"The model solved only {len(solved)} training tasks, so a memory cannot hold "
                f"{plan.successes} successes. Ask for fewer with --successes."
            )
    async with remembered(workspace, [plan], solved) as experience:
        return await evaluate(workspace, kept, watch, gate, experience=experience)
