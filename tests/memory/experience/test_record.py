"""A recorded attempt is stored once, with all its verdicts."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from apprentice.state.errors import BadInput
from apprentice.state.experience import Query
from apprentice.state.trajectory import Usage, Verdict
from tests.memory.experience.attempts import FAILED, SOLVED, attempt, task
from tests.memory.experience.conftest import Opener

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
LATE = Verdict(success=False, score=0.2, feedback="It broke later.", source="late")
NEEDED = Query(task=task("new"))


async def test_a_trajectory_is_read_back_unchanged(memory: Opener) -> None:
    whole = attempt(
        task("a", metadata={"room": [1, {"deep": None}]}),
        usage=Usage(calls=3, input_tokens=5, seconds=0.25),
        run="r",
        trial=4,
        model="local:novice",
        adapter="shop",
        ended_at=12.5,
    )
    await memory().record([whole])
    kept = await memory().get(whole.id)
    assert kept is not None
    assert kept.trajectory == whole
    assert [judged.verdict for judged in kept.verdicts] == [SOLVED]
    assert await memory().get("unheard of") is None


async def test_a_second_record_changes_nothing(memory: Opener) -> None:
    first, second = attempt(task("a")), attempt(task("b"))
    assert await memory().record([first, first]) == ((first.id,), ())
    changed = first.model_copy(update={"run": "another"})
    assert await memory().record([changed, second]) == ((second.id,), (first.id,))
    kept = [each async for each in memory().browse()]
    assert {each.trajectory.id: each.trajectory for each in kept} == {
        first.id: first,
        second.id: second,
    }
    assert (await memory().report()).steps == 4


async def test_concurrent_record_and_recall_lose_nothing(memory: Opener) -> None:
    async def run(number: int) -> None:
        for trial in range(2):
            of = task(f"{number}-{trial}")
            await memory().record([attempt(of), attempt(task("shared"), name="shared")])
            for found in await memory().recall(Query(task=of)):
                assert found.task.id != of.id

    await asyncio.gather(*(run(number) for number in range(32)))
    names = sorted([each.trajectory.id async for each in memory().browse()])
    expected = [f"of-{number}-{trial}" for number in range(32) for trial in range(2)]
    assert names == sorted([*expected, "shared"])


async def test_a_trajectory_that_is_too_large_is_refused(memory: Opener) -> None:
    large = attempt(task("large"), turns=["x" * 2_000_001])
    with pytest.raises(BadInput, match="at most 2,000,000 are stored"):
        await memory().record([attempt(task("a")), large])
    assert [each async for each in memory().browse()] == []


async def test_an_attempt_without_a_verdict_is_stored_but_not_recalled(memory: Opener) -> None:
    unjudged = attempt(task("a"), Verdict())
    await memory().record([unjudged])
    assert await memory().get(unjudged.id) is not None
    for outcome in ("successes", "failures", "any"):
        for what in ("tasks", "steps", "reflections"):
            query = Query(task=task("new"), what=what, outcome=outcome)
            assert await memory().recall(query) == []
    assert await memory().annotate(unjudged.id, SOLVED)
    (found,) = await memory().recall(NEEDED)
    assert (found.trajectory, found.success) == (unjudged.id, True)
    assert len(await memory().recall(Query(task=task("new"), what="steps"))) == 1


async def test_the_latest_verdict_counts_and_all_are_stored(memory: Opener) -> None:
    of = attempt(task("a"))
    await memory().record([of])
    assert await memory().annotate(of.id, LATE) is True
    assert await memory().annotate(of.id, LATE) is False
    kept = await memory().get(of.id)
    assert kept is not None
    assert kept.trajectory.verdict == LATE
    assert [judged.verdict for judged in kept.verdicts] == [SOLVED, LATE]
    assert await memory().recall(NEEDED) == []
    assert await memory().recall(Query(task=task("new"), what="steps")) == []
    (failure,) = await memory().recall(Query(task=task("new"), outcome="failures"))
    assert (failure.trajectory, failure.success) == (of.id, False)

    assert await memory().annotate(of.id, SOLVED) is True
    kept = await memory().get(of.id)
    assert kept is not None
    assert [judged.verdict for judged in kept.verdicts] == [SOLVED, LATE, SOLVED]
    assert [found.trajectory for found in await memory().recall(NEEDED)] == [of.id]


async def test_a_verdict_with_an_earlier_time_is_not_the_latest(
    memory: Opener,
) -> None:
    of = attempt(task("a"), Verdict())
    await memory().record([of])
    assert await memory().annotate(of.id, SOLVED, at=200.0)
    assert await memory().annotate(of.id, FAILED, at=100.0)
    assert not await memory().annotate(of.id, FAILED, at=100.0)
    kept = await memory().get(of.id)
    assert kept is not None
    assert kept.trajectory.verdict == SOLVED
    assert [judged.at for judged in kept.verdicts] == [100.0, 200.0]


@pytest.mark.parametrize("at", [math.nan, math.inf, -1.0, 1.7e12, 1.7e18])
async def test_an_invalid_time_is_refused(memory: Opener, at: float) -> None:
    of = attempt(task("a"), Verdict())
    await memory().record([of])
    with pytest.raises(BadInput, match="is no Unix time in seconds"):
        await memory().annotate(of.id, SOLVED, at=at)
    kept = await memory().get(of.id)
    assert kept is not None
    assert kept.verdicts == ()


@pytest.mark.parametrize("at", [4e9, 253_402_300_799.0])
async def test_a_verdict_without_a_time_comes_after_all_others(memory: Opener, at: float) -> None:
    of = attempt(task("a"), Verdict())
    await memory().record([of])
    await memory().annotate(of.id, SOLVED, at=at)
    for number in range(5):
        verdict = Verdict(success=number % 2 == 0, source="late")
        assert await memory().annotate(of.id, verdict)
        kept = await memory().get(of.id)
        assert kept is not None
        assert (kept.trajectory.verdict, len(kept.verdicts)) == (verdict, number + 2)


@pytest.mark.parametrize("score", [2 / 11, 1 / 11, 0.1 + 0.2])
async def test_a_repeated_verdict_is_recognised_with_any_score(
    memory: Opener, score: float
) -> None:
    of = attempt(task("a"), Verdict())
    await memory().record([of])
    partly = Verdict(score=score, source="late")
    assert await memory().annotate(of.id, partly)
    assert not await memory().annotate(of.id, partly)
    assert await memory().annotate(of.id, SOLVED, at=4e9 + 0.1234567)
    assert not await memory().annotate(of.id, SOLVED, at=4e9 + 0.1234567)


async def test_a_trajectory_that_cannot_be_written_is_an_error(memory: Opener) -> None:
    with pytest.raises(BadInput, match="'of-a' cannot be written as JSON"):
        await memory().record([attempt(task("a"), turns=["\ud83d"]), attempt(task("b"))])
    assert [each async for each in memory().browse()] == []


async def test_concurrent_verdicts_are_all_stored(memory: Opener) -> None:
    of = attempt(task("a"), Verdict())
    await memory().record([of])
    verdicts = [Verdict(success=n % 2 == 0, feedback=str(n), source="late") for n in range(32)]
    await asyncio.gather(
        *(memory().annotate(of.id, verdict, at=float(n)) for n, verdict in enumerate(verdicts))
    )
    kept = await memory().get(of.id)
    assert kept is not None
    assert [judged.verdict for judged in kept.verdicts] == verdicts
    assert [
        each.success for each in await memory().recall(Query(task=task("n"), outcome="any"))
    ] == [False]


async def test_a_verdict_for_an_unknown_trajectory_is_refused(memory: Opener) -> None:
    with pytest.raises(BadInput, match="No trajectory 'nobody' is stored for the tenant 'team'"):
        await memory().annotate("nobody", SOLVED)
    with pytest.raises(BadInput, match="No trajectory 'nobody'"):
        await memory().reflect("nobody", "lesson")


async def test_forget_erases_all_points(memory: Opener) -> None:
    gone, stays = attempt(task("a")), attempt(task("b"))
    await memory().record([gone, stays])
    await memory().annotate(gone.id, FAILED)
    await memory().reflect(gone.id, "look elsewhere")
    before = await memory().report()
    assert (before.attempts, before.steps, before.reflections) == (2, 4, 1)
    assert await memory().forget([gone.id, "unheard of"]) == (gone.id,)
    after = await memory().report()
    assert (after.attempts, after.steps, after.reflections) == (1, 2, 0)
    assert await memory().get(gone.id) is None
    assert await memory().record([gone]) == ((gone.id,), ())


async def test_browse_filters(memory: Opener) -> None:
    await memory().record(
        [
            attempt(task("a", kind="clean")),
            attempt(task("b", kind="heat"), FAILED),
            attempt(task("c", kind="heat", split="test"), Verdict()),
        ]
    )

    async def names(**filters: Any) -> set[str]:
        return {each.trajectory.task.id async for each in memory().browse(**filters)}

    assert await names() == {"a", "b", "c"}
    assert await names(kind="heat") == {"b", "c"}
    assert await names(outcome="failures") == {"b"}
    assert await names(outcome="any") == {"a", "b"}
    assert await names(environment="elsewhere") == set()
