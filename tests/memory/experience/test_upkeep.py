"""Upkeep: near-duplicates are set aside, the least useful are evicted, and both are reported."""

from __future__ import annotations

import pytest

from apprentice.state.experience import Query
from apprentice.state.trajectory import Trajectory, Verdict
from tests.memory.experience.attempts import FAILED, SOLVED, attempt, task
from tests.memory.experience.conftest import Opener

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")

LONG = ("look", "go to drawer 1", "take mug 1", "go to shelf 1", "put mug 1")


async def test_only_the_best_of_near_duplicates_is_recalled(memory: Opener) -> None:
    of, other = task("much tried"), task("another")
    half = Verdict(success=True, score=0.5)
    await memory().record(
        [
            attempt(of, FAILED, LONG, name="failed"),
            attempt(of, half, LONG, name="half"),
            attempt(of, SOLVED, (*LONG, "look again"), name="longer"),
            attempt(of, SOLVED, LONG, name="best"),
            attempt(of, half, ("sing", "dance"), name="another way"),
            attempt(other, SOLVED, LONG, name="another task"),
        ]
    )
    assert (await memory().tidy()).set_aside == 3
    report = await memory().report()
    assert (report.attempts, report.duplicates) == (6, 3)
    steps = await memory().recall(Query(task=task("new"), what="steps", limit=50))
    whole = await memory().recall(Query(task=task("new"), outcome="failures", limit=50))
    assert {each.trajectory for each in steps} <= {"best", "another way", "another task"}
    assert whole == []
    assert await memory().get("failed") is not None

    # After a later verdict, another attempt may be the best.
    await memory().annotate("best", FAILED)
    assert (await memory().tidy()).set_aside == 3
    found = await memory().recall(Query(task=task("new"), limit=50))
    assert {each.trajectory for each in found} == {"longer", "another task"}


async def test_the_least_useful_attempts_are_evicted(memory: Opener) -> None:
    exemplars = [attempt(task(name), ended_at=1.0) for name in ("helps", "misleads", "unused")]
    await memory().record(exemplars)
    shown = [
        attempt(
            task(f"{name} {number}", split="test"),
            verdict,
            [f"turn {name} {number}"],
            exemplars=[f"of-{name}"],
            ended_at=2.0,
        )
        for name, verdict in (("helps", SOLVED), ("misleads", FAILED))
        for number in range(3)
    ]
    await memory().record(shown)
    report = await memory().report()
    uses = {use.trajectory: (use.shown, use.successes) for use in report.uses}
    assert uses == {"of-helps": (3, 3), "of-misleads": (3, 0)}
    assert (report.attempts, report.held_out) == (9, 6)

    # A late verdict counts like any other.
    await memory().annotate("of-misleads 0", SOLVED)
    report = await memory().report()
    assert {use.trajectory: use.successes for use in report.uses}["of-misleads"] == 1

    first = await memory().tidy(capacity=3)
    assert len(first.evictions) == 6  # held-out attempts are never shown, so they go first
    report = await memory().report()
    assert (report.attempts, report.steps) == (3, 6)


async def test_exemplars_are_evicted_in_the_order_of_usefulness(memory: Opener) -> None:
    await memory().record(
        [attempt(task(name), ended_at=1.0) for name in ("helps", "misleads", "unused")]
    )
    for name, verdict in (("helps", SOLVED), ("misleads", FAILED)):
        seen = attempt(task(f"by {name}"), verdict, [name], exemplars=[f"of-{name}"], ended_at=2.0)
        await memory().record([seen])
    assert (await memory().tidy(capacity=4)).evictions == ("of-misleads",)
    # The unused exemplar is as good as the attempts that saw one, but older.
    assert (await memory().tidy(capacity=3)).evictions == ("of-unused",)
    assert await memory().get("of-helps") is not None


async def test_a_full_memory_evicts_attempts_when_it_records(memory: Opener) -> None:
    small = memory(capacity=10)
    for number in range(25):
        await small.record([attempt(task(str(number)), turns=[f"turn {number}"])])
    report = await small.report()
    assert 9 <= report.attempts <= 10
    assert report.steps == report.attempts
    assert await small.get("of-24") is not None
    assert await small.get("of-0") is None


async def test_an_attempt_without_a_verdict_is_not_evicted_before_older_ones(
    memory: Opener,
) -> None:
    small = memory(capacity=10)

    def made(number: int, verdict: Verdict) -> Trajectory:
        turns = [f"turn {number}"]
        return attempt(task(str(number)), verdict, turns, ended_at=float(number))

    await small.record([made(number, FAILED) for number in range(10)])
    await small.record([made(10, Verdict())])
    assert await small.get("of-10") is not None
    assert await small.annotate("of-10", SOLVED)
    kept = {each.trajectory.id async for each in small.browse()}
    assert kept == {f"of-{number}" for number in range(2, 11)}
    # An attempt without a verdict is no near-duplicate: it may prove better than the other.
    repeat = made(12, Verdict()).model_copy(update={"task": task("10"), "id": "again"})
    await small.record([repeat, made(11, FAILED)])
    assert await small.get("again") is not None
    assert await small.get("of-2") is None


async def test_record_never_evicts_what_it_has_just_stored(memory: Opener) -> None:
    small = memory(capacity=10)
    await small.record([attempt(task(str(n)), turns=[f"turn {n}"]) for n in range(10)])
    old = [
        attempt(task(f"old {n}", split="test"), Verdict(), [f"old {n}"], ended_at=1.0)
        for n in range(12)
    ]
    assert len((await small.record(old)).new) == 12
    assert {each.trajectory.id async for each in small.browse()} == {each.id for each in old}
    await small.record([attempt(task("next"), turns=["next"])])
    assert await small.get("of-next") is not None
    assert (await small.report()).attempts == 9


async def test_tidy_changes_only_one_tenants_memory(memory: Opener) -> None:
    await memory("rival").record(
        [attempt(task("a"), name=name, tenant="rival") for name in ("one", "two")]
    )
    await memory().record([attempt(task("a"), name=name) for name in ("one", "two")])
    await memory().tidy(capacity=1)
    report = await memory("rival").report()
    assert (report.attempts, report.duplicates) == (2, 0)
    assert (await memory().report()).attempts == 1
