"""Every attempt that expel makes to learn from is remembered, once, and leads back to its rules."""

from __future__ import annotations

import asyncio
from typing import Any

from langgraph.store.memory import InMemoryStore

from apprentice.graphs import expel
from apprentice.memory.rulebook import RulebookLog
from apprentice.memory.run_results import Findings
from apprentice.state.context import Context
from apprentice.state.critique import TaskAttempts
from apprentice.state.provenance import dependents_of
from apprentice.state.trajectory import Trajectory
from tests.experts import expert_agent, expert_critic, expert_reflector
from tests.memories import Memories

HOME = "household/north/small"
GIVEN: Any = {"environment": HOME, "tasks": 8, "held_out": 0, "run": "one"}


def graph(store: InMemoryStore, memory: Memories) -> Any:
    return expel.build(
        agent=expert_agent, reflector=expert_reflector, critic=expert_critic, record_to=memory
    ).compile(store=store)


async def gathered(store: InMemoryStore, tenant: str) -> dict[str, Trajectory]:
    """Return the attempts that the run itself keeps."""
    found = await Findings(store, tenant, HOME, "one", TaskAttempts).all()
    return {attempt.id: attempt for each in found for attempt in each.attempts}


async def test_every_attempt_is_remembered_once_whatever_is_run_again() -> None:
    store, memory = InMemoryStore(), Memories()
    own = Context(tenant=memory.tenant)
    for _ in range(2):
        await graph(store, memory).ainvoke(GIVEN, context=own)
        kept = await memory.all()
        attempts = await gathered(store, memory.tenant)
        assert len(kept) == len(attempts) > 8  # failures and retries are among them
        assert {each.id: each for each in kept} == attempts
        report = await (await memory(memory.tenant)).report()
        assert report.reflections == report.failures > 0


async def test_a_rules_evidence_is_in_the_memory_and_leads_back() -> None:
    store, memory = InMemoryStore(), Memories()
    await graph(store, memory).ainvoke(GIVEN, context=Context(tenant=memory.tenant))
    kept = {each.id for each in await memory.all()}
    batches = await RulebookLog(store, memory.tenant, HOME).batches()
    evidence = {name for batch in batches for name in batch.evidence}
    assert evidence
    assert evidence <= kept
    for name in evidence:
        resting = dependents_of(batches, [name])
        spoken = {o.rule for b in batches if name in b.evidence for o in b.operations}
        assert {rule.id for rule in (*resting.alone, *resting.partly)} <= spoken


async def test_two_runs_of_one_name_at_once_are_one_run() -> None:
    store, memory = InMemoryStore(), Memories()
    own = Context(tenant=memory.tenant)
    compiled = graph(store, memory)
    both = await asyncio.gather(*(compiled.ainvoke(GIVEN, context=own) for _ in range(2)))
    assert both[0]["candidate"].texts == both[1]["candidate"].texts
    kept = {each.id: each for each in await memory.all()}
    assert kept.keys() == (await gathered(store, memory.tenant)).keys()
    batches = await RulebookLog(store, memory.tenant, HOME).batches()
    assert len({(batch.index, batch.evidence) for batch in batches}) == len(batches)
    assert all(set(batch.evidence) <= kept.keys() for batch in batches)


async def test_what_is_not_to_be_recorded_is_not() -> None:
    store, memory = InMemoryStore(), Memories()
    await graph(store, memory).ainvoke(GIVEN, context=Context(tenant=memory.tenant, record=False))
    assert await memory.all() == []
    assert await gathered(store, memory.tenant)
