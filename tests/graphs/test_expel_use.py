"""Rules in use: their record, and a world that changes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AnyMessage
from langgraph.store.memory import InMemoryStore

from apprentice.graphs import episode, exemplar, expel, feedback, reflexion
from apprentice.memory.releases import Releases
from apprentice.memory.rulebook import RulebookLog
from apprentice.memory.showings import Showings
from apprentice.state.context import Context
from apprentice.state.releases import Release
from apprentice.state.rule_record import Showing
from apprentice.state.rulebook import Operation
from apprentice.state.trajectory import Verdict
from benchmarks.rules import Cast, recovery
from tests.experts import expert_agent, expert_critic, expert_reflector
from tests.memories import Memories
from tests.places import environment

HOME = "household/north/small"
CAST = Cast(expert_agent, expert_reflector, expert_critic)


async def releasing(store: InMemoryStore, *texts: str) -> Release:
    """Put rules in force."""
    log = RulebookLog(store, rulebook=HOME)
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


async def test_every_attempt_with_rules_in_view_is_counted() -> None:
    store = InMemoryStore()
    release = await releasing(store, "Look twice.")
    compiled = reflexion.build(agent=lambda _: "look", reflector=expert_reflector).compile(
        store=store
    )
    tasks = list(environment(HOME).tasks("test", 3))
    for task in tasks:
        await compiled.ainvoke({"task": task}, context=Context(max_trials=2))
    await compiled.ainvoke({"task": tasks[0], "run": "x"}, context=Context(rules="none"))
    showings = await Showings(store, "default", HOME).all()
    assert [each.success for each in showings] == [False] * 6
    assert sorted(each.trial for each in showings) == [1, 1, 1, 2, 2, 2]
    assert {each.rules for each in showings} == {(release.rules[0].id,)}


async def test_an_episode_alone_is_counted_too() -> None:
    store, memory = InMemoryStore(), Memories()
    release = await releasing(store, "Look twice.")
    alone = episode.build(agent=lambda _: "look", record_to=memory).compile(store=store)
    ended = await alone.ainvoke({"task": environment(HOME).task("test/0")})
    (showing,) = await Showings(store, "default", HOME).all()
    assert (showing.trajectory, showing.success) == (ended["trajectory"], False)
    assert showing.rules == (release.rules[0].id,)


async def test_attempts_with_exemplars_and_late_verdicts_count_too() -> None:
    store, memory = InMemoryStore(), Memories()
    release = await releasing(store, "Look twice.")
    shown = exemplar.build(
        agent=lambda _: "look",
        judge=lambda *_: Verdict(success=None),
        recall_from=memory,
        record_to=memory,
    ).compile(store=store)
    ended = await shown.ainvoke({"task": environment(HOME).task("train/1")})
    showings = Showings(store, "default", HOME)
    assert await showings.all() == []
    judging = feedback.build(record_to=memory).compile(store=store)
    for verdict in (True, True, False):
        given: Any = {"trajectory": ended["attempts"][0].id, "verdict": {"success": verdict}}
        await judging.ainvoke(given)
    (showing,) = await showings.all()
    assert (showing.success, showing.trial) == (False, 1)
    assert showing.rules == (release.rules[0].id,)


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
    compiled = expel.build(agent=expert_agent, critic=expert_critic).compile(store=store)
    ended = await compiled.ainvoke({"environment": HOME, "tasks": 0, "run": "weighed"})
    assert ended["outcome"] == "published"
    assert "10 points worse" in ended["reason"]
    assert ended["candidate"].texts == ("A house has places.",)
    batch = (await RulebookLog(store, rulebook=HOME).batches())[-1]
    assert (batch.author, batch.evidence[0]) == ("system", "t24")
    assert "succeeded 0 of 16 lately, 24 of 24 before" in batch.reason


async def test_rules_follow_a_world_that_changes() -> None:
    store = InMemoryStore()
    found = await recovery(CAST, Context(), most=4, store=store)
    assert found["before"] > found["untaught"]
    assert found["outcomes"][-1] == "published"
    assert found["recovered"]
    assert found["spent"] <= 400
    # What is journaled is only summed up: nobody acts, reflects or criticises again.
    assert await recovery(Cast(_nobody, _nobody, _nobody), Context(), most=4, store=store) == found


def _nobody(messages: Sequence[AnyMessage]) -> str:
    raise AssertionError("All was done before.")
