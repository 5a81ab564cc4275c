"""Rules in use: their record, and a world that changes."""

from __future__ import annotations

import time
from typing import Any

from langgraph.store.memory import InMemoryStore

from benchmarks.rules import Cast, recovery
from environments.registry import environment
from graphs import expel, reflexion
from memory.releases import Releases
from memory.rulebook import RulebookLog
from memory.showings import Showings
from state.context import Context
from state.records import Showing
from state.releases import Release
from state.rulebook import Operation
from tests.experts import expert_agent, expert_critic, expert_reflector

HOME = "household/north/small"
CAST = Cast(expert_agent, expert_reflector, expert_critic)


async def releasing(store: InMemoryStore, *texts: str) -> Release:
    """Put rules in force."""
    log = RulebookLog(store, book=HOME)
    added = [Operation(kind="ADD", text=text) for text in texts]
    book = (await log.record(added, run="by hand", author="person")).rulebook
    release = Release(
        id="first",
        tenant="default",
        environment=HOME,
        rulebook=book.version,
        rules=book.rules,
        run="by hand",
    )
    await Releases(store, "default", HOME).publish(release)
    return release


async def test_first_attempts_with_rules_in_view_are_counted() -> None:
    store = InMemoryStore()
    release = await releasing(store, "Look twice.")
    compiled = reflexion.build(lambda _: "look", reflector=expert_reflector).compile(store=store)
    tasks = list(environment(HOME).tasks("test", 3))
    for task in tasks:
        await compiled.ainvoke({"task": task}, context=Context(max_trials=2))
    await compiled.ainvoke({"task": tasks[0], "run": "x"}, context=Context(rules="none"))
    showings = await Showings(store, "default", HOME).all()
    assert [each.success for each in showings] == [False] * 3
    assert {each.rules for each in showings} == {(release.rules[0].id,)}


async def test_a_rule_whose_record_turns_is_taken_away_when_that_does_no_harm() -> None:
    store = InMemoryStore()
    release = await releasing(store, "Look for food in/on a bed.", "A house has places.")
    wrong, _ = release.rules
    showings = Showings(store, "default", HOME)
    assert showings.store is not None
    for number in range(40):
        showing = Showing(
            trajectory=f"t{number}",
            rules=(wrong.id,),
            success=number < 24,
            time=time.time() + number,
        )
        value: Any = showing.model_dump(mode="json")
        await store.aput(("showings", "default", "household~2f~north~2f~small"), str(number), value)
    compiled = expel.build(expert_agent, critic=expert_critic).compile(store=store)
    ended = await compiled.ainvoke({"environment": HOME, "tasks": 0, "run": "weighed"})
    assert ended["outcome"] == "published"
    assert "10 points worse" in ended["reason"]
    assert ended["candidate"].texts == ("A house has places.",)
    batch = (await RulebookLog(store, book=HOME).batches())[-1]
    assert (batch.author, batch.evidence[0]) == ("system", "t24")
    assert "succeeded 0 of 16 lately, 24 of 24 before" in batch.reason


async def test_rules_follow_a_world_that_changes() -> None:
    found = await recovery(CAST, Context(), most=4)
    assert found["before"] > found["untaught"]
    assert found["outcomes"][-1] == "published"
    assert found["recovered"]
    assert found["spent"] <= 400
