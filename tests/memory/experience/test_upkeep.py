"""A memory that stays good: repeats set aside, the least useful let go, both reported."""

from __future__ import annotations

import pytest

from apprentice.state.experience import Query
from apprentice.state.nouns import Trajectory, Verdict
from tests.memory.experience.attempts import FAILED, SOLVED, attempt, task
from tests.memory.experience.conftest import Opener

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")

LONG = ("look", "go to drawer 1", "take mug 1", "go to shelf 1", "put mug 1")


async def test_near_duplicates_collapse_onto_the_best(memory: Opener) -> None:
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

    # A later verdict may make another one the best.
    await memory().annotate("best", FAILED)
    assert (await memory().tidy()).set_aside == 3
    found = await memory().recall(Query(task=task("new"), limit=50))
    assert {each.trajectory for each in found} == {"longer", "another task"}


async def test_what_helps_least_is_let_go(memory: Opener) -> None:
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

    # A verdict that comes later counts as any other.
    await memory().annotate("of-misleads 0", SOLVED)
    report = await memory().report()
    assert {use.trajectory: use.successes for use in report.uses}["of-misleads"] == 1

    first = await memory().tidy(capacity=3)
    assert len(first.evictions) == 6  # what is held out is never shown, so it goes first
    report = await memory().report()
    assert (report.attempts, report.steps) == (3, 6)


async def test_usefulness_orders_the_exemplars_that_go(memory: Opener) -> None:
    await memory().record(
        [attempt(task(name), ended_at=1.0) for name in ("helps", "misleads", "unused")]
    )
    for name, verdict in (("helps", SOLVED), ("misleads", FAILED)):
        seen = attempt(task(f"by {name}"), verdict, [name], exemplars=[f"of-{name}"], ended_at=2.0)
        await memory().record([seen])
    assert (await memory().tidy(capacity=4)).evictions == ("of-misleads",)
    # The unused one is as good as those that only used it, and older.
    assert (await memory().tidy(capacity=3)).evictions == ("of-unused",)
    assert await memory().get("of-helps") is not None


async def test_a_full_memory_makes_room_by_itself(memory: Opener) -> None:
    small = memory(capacity=10)
    for number in range(25):
        await small.record([attempt(task(str(number)), turns=[f"turn {number}"])])
    report = await small.report()
    assert 9 <= report.attempts <= 10
    assert report.steps == report.attempts
    assert await small.get("of-24") is not None
    assert await small.get("of-0") is None


async def test_what_waits_for_its_verdict_is_not_let_go_before_what_is_older(
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
    # One that waits too is no older for it, nor a repeat of what it may prove better than.
    repeat = made(12, Verdict()).model_copy(update={"task": task("10"), "id": "again"})
    await small.record([repeat, made(11, FAILED)])
    assert await small.get("again") is not None
    assert await small.get("of-2") is None


async def test_recording_never_lets_go_of_what_it_was_given(memory: Opener) -> None:
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


async def test_tidying_one_tenants_memory_leaves_the_others_alone(memory: Opener) -> None:
    await memory("rival").record(
        [attempt(task("a"), name=name, tenant="rival") for name in ("one", "two")]
    )
    await memory().record([attempt(task("a"), name=name) for name in ("one", "two")])
    await memory().tidy(capacity=1)
    report = await memory("rival").report()
    assert (report.attempts, report.duplicates) == (2, 0)
    assert (await memory().report()).attempts == 1
