"""Practice: training tasks attempted until enough are solved, and a memory of the solutions.

The attempts are the evaluated model's own, by reflexion. A memory is made anew for every
evaluation, in a folder that goes with it, so what it holds is known.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from apprentice.cli import journal
from apprentice.cli.evaluation import Watch, context_of, evaluate, planned, run_name, technique
from apprentice.cli.journal import Finished, Journal, Plan
from apprentice.cli.techniques import TECHNIQUES
from apprentice.memory.experience import Experience
from apprentice.models import embeddings
from apprentice.nodes.experience import EMBEDDINGS, Memory
from apprentice.state.errors import BadInput, MissingPart
from apprentice.state.nouns import Trajectory

SPLIT: Final = "train"
TRIALS: Final = 3
_PATIENCE: Final = 3  # training tasks attempted for every success that is wanted, at most
_PROBE: Final = "How many dimensions?"


def practised(plan: Plan) -> Plan:
    """Return the evaluation in which a plan's model practises."""
    return planned(
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
    path: Path, plan: Plan, wanted: int, watch: Watch, gate: asyncio.Semaphore
) -> list[Trajectory]:
    """Return up to `wanted` successes, in the order of their tasks; journaled under `path`.

    There are fewer when the environment has no more tasks, or too many are not solved.
    """
    limit = wanted
    while True:
        with journal.opened(path, plan.model_copy(update={"limit": limit})) as kept:
            finished = await evaluate(kept, watch, gate)
        every = [attempt for done in finished for attempt in done.attempts]
        solved = [attempt for attempt in every if attempt.verdict.success]
        lacking = wanted - len(solved)
        if lacking <= 0 or len(finished) < limit or limit >= _PATIENCE * wanted:
            return solved[:wanted]
        limit = min(limit + 2 * lacking, _PATIENCE * wanted)


@asynccontextmanager
async def remembered(plans: Sequence[Plan], solved: Sequence[Trajectory]) -> AsyncIterator[Memory]:
    """Open a memory in which each plan's tenant has the first of the successes, and nothing else.

    Raises:
        MissingPart: if what the memory needs is not installed.
    """
    try:
        from apprentice.memory.experience.edge import EdgeEngine
        from apprentice.memory.experience.qdrant import QdrantExperience
    except ImportError as error:
        raise MissingPart(
            f"The experience memory needs packages that are not installed ({error}). Install "
            "them: pip install -c constraints.txt -e '.[memory]'"
        ) from error
    name = os.environ.get("APPRENTICE_EMBEDDINGS") or EMBEDDINGS
    model = await asyncio.to_thread(embeddings, name)
    with TemporaryDirectory(prefix="apprentice-") as folder:
        engine = await asyncio.to_thread(
            EdgeEngine.opened, Path(folder), name, lambda: len(model.embed_query(_PROBE))
        )

        async def memory(tenant: str) -> Experience:
            return QdrantExperience(engine, model, tenant)

        try:
            for plan in plans:
                tenant = context_of(plan).tenant
                own = [each.model_copy(update={"tenant": tenant}) for each in solved]
                await (await memory(tenant)).record(own[: plan.successes])
            yield memory
        finally:
            await engine.close()


async def evaluated(
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
        return await evaluate(kept, watch, gate, donors)
    solved: list[Trajectory] = []
    if plan.successes:
        own = practised(plan)
        path = kept.path.with_name(f"practice-{run_name(own)[:12]}.jsonl")
        solved = await practise(path, own, plan.successes, practice, gate)
        if len(solved) < plan.successes:
            raise BadInput(
                f"The model solved only {len(solved)} training tasks, so a memory cannot hold "
                f"{plan.successes} successes. Ask for fewer with --successes."
            )
    async with remembered([plan], solved) as memory:
        return await evaluate(kept, watch, gate, memory=memory)
