"""What is withdrawn while expel runs is not learned from, and not released, any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AnyMessage
from langgraph.store.memory import InMemoryStore

from apprentice.graphs import expel
from apprentice.memory.releases import Releases
from apprentice.memory.rulebook import RulebookLog
from apprentice.memory.run_results import Findings
from apprentice.memory.withdrawal import withdraw
from apprentice.nodes.expel.curate import Criticism
from apprentice.state.critique import TaskAttempts
from apprentice.state.prompts import RULES
from apprentice.state.trajectory import text_of
from tests.experts import expert_agent, expert_critic, expert_reflector

HOME = "household/north/small"
GIVEN: Any = {"environment": HOME, "tasks": 8, "held_out": 0, "run": "one"}


async def withdraw_all(store: InMemoryStore) -> None:
    found = await Findings(store, "default", HOME, "one", TaskAttempts).all()
    names = [attempt.id for each in found for attempt in each.attempts]
    await withdraw(store, "default", HOME, names, "It is private.")


async def test_a_transcript_that_is_withdrawn_while_the_critic_reads_it_teaches_nothing() -> None:
    store, asked = InMemoryStore(), []

    async def critic(messages: Sequence[AnyMessage]) -> str:
        asked.append(messages)
        if len(asked) == 3:
            await withdraw_all(store)
        return expert_critic(messages)

    compiled = expel.build(agent=expert_agent, reflector=expert_reflector, critic=critic)
    ended = await compiled.compile(store=store).ainvoke(GIVEN)
    assert ended["candidate"] is None
    assert len(asked) == 3  # nobody reads what is withdrawn
    assert {each.reason for each in ended["rejections"]} == {
        "A transcript of this evidence was withdrawn."
    }
    assert (await RulebookLog(store, "default", HOME).load()).rules == ()
    assert await Findings(store, "default", HOME, "one", Criticism).all() == []


async def test_a_candidate_whose_evidence_is_withdrawn_while_it_is_tried_is_not_released() -> None:
    store = InMemoryStore()
    tried: list[Any] = []

    async def agent(messages: Sequence[AnyMessage]) -> str:
        if RULES in text_of(messages[0]) and not tried:
            tried.append(messages)
            await withdraw_all(store)
        return expert_agent(messages)

    compiled = expel.build(agent=agent, reflector=expert_reflector, critic=expert_critic)
    ended = await compiled.compile(store=store).ainvoke(GIVEN | {"tasks": 12, "held_out": 48})
    assert (len(tried), ended["validation"].outcome) == (1, "publish")
    assert (ended["outcome"], "withdrawn meanwhile" in ended["reason"]) == ("overtaken", True)
    assert await Releases(store, "default", HOME).current() is None
