"""promote, reject: carry out the gate's decision, and end the round."""

from __future__ import annotations

import asyncio
import time
from typing import Final, Literal

from langgraph.runtime import Runtime

from apprentice.nodes import Node
from apprentice.nodes.stores import releases_of
from apprentice.nodes.training.rounds import dataset_folder, hold_round, incumbent, rounds_of
from apprentice.state.context import Context
from apprentice.state.gate import Decision
from apprentice.state.releases import Release
from apprentice.state.training import TrainingState, TrainingUpdate
from apprentice.state.trajectory import digest
from apprentice.training.datasets.card import load
from apprentice.training.rounds import End
from apprentice.workspace import Workspace

PromotionOutcome = Literal["promoted", "rejected"]
_OVERTAKEN: Final = "Another adapter was released meanwhile: the next run compares with it."


def promote_in(workspace: Workspace) -> Node[TrainingState, TrainingUpdate]:
    """Return the node that releases the adapter."""

    async def promote(state: TrainingState, runtime: Runtime[Context]) -> TrainingUpdate:
        """Release the adapter in every environment that its attempts came from."""
        await workspace.ready()
        rounds = rounds_of(runtime, state.environment, workspace)
        async with hold_round(rounds, state) as over:
            if over:
                return over
            if await incumbent(state, runtime) != state.incumbent:
                return {"reason": _OVERTAKEN}
            dataset = await asyncio.to_thread(load, dataset_folder(rounds, state))
            names = await asyncio.to_thread(workspace.environments.names_below, state.environment)
            await _mark("promoted", state, workspace)
            for name in sorted({*names, *dataset.card.environments}):
                await _release(name, state, runtime, workspace)
            return await _end("promoted", state, runtime, workspace)

    return promote


def reject_in(workspace: Workspace) -> Node[TrainingState, TrainingUpdate]:
    """Return the node that ends a round without a release."""

    async def reject(state: TrainingState, runtime: Runtime[Context]) -> TrainingUpdate:
        """End the round; the release stays as it is."""
        await workspace.ready()
        async with hold_round(rounds_of(runtime, state.environment, workspace), state) as over:
            if over:
                return over
            if await incumbent(state, runtime) != state.incumbent:
                return {"reason": _OVERTAKEN}
            await _mark("rejected", state, workspace)
            return await _end("rejected", state, runtime, workspace)

    return reject


async def _release(
    environment: str, state: TrainingState, runtime: Runtime[Context], workspace: Workspace
) -> None:
    """Release the adapter together with the released rules."""
    context = workspace.with_model(Context.of(runtime))
    releases = releases_of(runtime, environment)
    current = await releases.current()
    changes = {
        "id": digest("release", context.tenant, environment, state.adapter, state.job),
        "adapter": state.adapter,
        "model": context.model,
        "run": state.job,
        "base": current.id if current else "",
        "validation": state.decisions[state.environment],
    }
    if current and current.id == changes["id"]:
        return
    empty = Release(id=str(changes["id"]), tenant=context.tenant, environment=environment)
    await releases.publish((current or empty).model_copy(update=changes), reason=state.reason)


async def _mark(outcome: PromotionOutcome, state: TrainingState, workspace: Workspace) -> None:
    numbers = _figures(state.decisions)
    mark = workspace.adapters.mark
    await asyncio.to_thread(mark, state.adapter, outcome, state.reason, numbers)


async def _end(
    outcome: PromotionOutcome, state: TrainingState, runtime: Runtime[Context], workspace: Workspace
) -> TrainingUpdate:
    decision = state.decisions.get(state.environment)
    if decision:
        await releases_of(runtime, state.environment).end_gate(state.job, decision)
    how = End(outcome=outcome, reason=state.reason, decisions=state.decisions, at=time.time())
    rounds = rounds_of(runtime, state.environment, workspace)
    await asyncio.to_thread(rounds.end, state.number, how)
    runtime.stream_writer(
        {"type": f"training.{outcome}", "adapter": state.adapter, "reason": state.reason}
    )
    return {"stage": outcome}


def _figures(decisions: dict[str, Decision]) -> dict[str, float]:
    """Return the gate's figures for the adapter's card."""
    figures: dict[str, float] = {}
    for name, decision in decisions.items():
        figures[f"incumbent {name}"] = decision.numbers.incumbent
        figures[f"candidate {name}"] = decision.numbers.candidate
        figures[f"pairs {name}"] = float(decision.numbers.pairs)
    return figures
