"""What recall returns, in which order, and what it never returns."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from apprentice.memory.experience.points import attempt_id
from apprentice.state.errors import BadInput
from apprentice.state.experience import How, OutcomeFilter, Query, What
from apprentice.state.trajectory import Task, Verdict, transcript
from tests.memory.experience.attempts import FAILED, SOLVED, attempt, task
from tests.memory.experience.conftest import Opener

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")

HOWS: tuple[How, ...] = ("hybrid", "meaning", "text", "type", "random")
WHATS: tuple[What, ...] = ("tasks", "steps", "reflections")
OUTCOMES: tuple[OutcomeFilter, ...] = ("successes", "failures", "any")
MUG = task("mug", "put a clean mug on the shelf", kind="clean")


async def names(memory: Opener, query: Query) -> list[str]:
    return [found.task.id for found in await memory().recall(query)]


async def test_no_query_returns_excluded_points(memory: Opener) -> None:
    """Try every kind of query on every kind of point that is excluded."""
    same = MUG.model_copy(update={"split": "train"})
    elsewhere = MUG.model_copy(update={"environment": "bank"})
    forbidden = [
        attempt(same, name="same task"),
        attempt(same, FAILED, name="same task, failed"),
        *(
            attempt(task(split, MUG.instruction, kind="clean", split=split), verdict, name=f"{n}")
            for n, (split, verdict) in enumerate(
                itertools.product(("test", "valid_unseen", "validation"), (SOLVED, FAILED))
            )
        ),
        attempt(task("unjudged", MUG.instruction, kind="clean"), Verdict(), name="unjudged"),
    ]
    theirs = [
        attempt(task("theirs", MUG.instruction, kind="clean"), verdict, name=name, tenant="rival")
        for verdict, name in ((SOLVED, "a"), (FAILED, "b"))
    ]
    allowed = [
        attempt(task("fine", MUG.instruction, kind="clean"), name="fine"),
        attempt(task("wrong", MUG.instruction, kind="clean"), FAILED, name="wrong"),
    ]
    await memory().record([*forbidden, *allowed])
    await memory("rival").record(theirs)
    for each in (*forbidden, *allowed):
        await memory().reflect(each.id, "a lesson")
    for each in theirs:
        await memory("rival").reflect(each.id, "a lesson")

    for what, how, outcome in itertools.product(WHATS, HOWS, OUTCOMES):
        query = Query(
            task=MUG,
            text="After go to drawer 1 you see a cup." if what == "steps" else "",
            what=what,
            how=how,
            outcome=outcome,
            environments=("shop", "bank"),
            limit=50,
        )
        found = {each.trajectory for each in await memory().recall(query)}
        expected = {"successes": {"fine"}, "failures": {"wrong"}, "any": {"fine", "wrong"}}[outcome]
        if what == "steps":
            expected = expected - {"wrong"}
        if what == "reflections":
            expected = {"wrong"}
        assert found == expected, (what, how, outcome)
    # A task with the same name in another environment is another task.
    assert await names(memory, Query(task=elsewhere, environments=("shop",), limit=50)) != []


async def test_an_id_does_not_reach_another_tenants_attempt(memory: Opener) -> None:
    theirs = attempt(task("a"), tenant="rival")
    await memory("rival").record([theirs])
    assert await memory().get(theirs.id) is None
    assert await memory().forget([theirs.id]) == ()
    with pytest.raises(BadInput, match="No trajectory"):
        await memory().annotate(theirs.id, FAILED)
    with pytest.raises(BadInput, match="belongs to the tenant 'rival', but this is the memory of"):
        await memory().record([theirs])
    mine = attempt(task("b"), FAILED, name=theirs.id)
    await memory().record([mine])
    kept = await memory("rival").get(theirs.id)
    assert kept is not None
    assert kept.trajectory == theirs


async def test_other_environments_are_recalled_only_when_named(memory: Opener) -> None:
    away = task("away", MUG.instruction).model_copy(update={"environment": "bank"})
    await memory().record([attempt(away), attempt(task("home", MUG.instruction))])
    assert await names(memory, Query(task=MUG)) == ["home"]
    assert await names(memory, Query(task=MUG, environments=("bank",))) == ["away"]


@pytest.mark.parametrize("how", ["hybrid", "meaning", "text"])
async def test_the_most_similar_comes_first(memory: Opener, how: How) -> None:
    instructions = {
        "twin": "put a clean mug on the shelf now",
        "cousin": "put a hot mug in the fridge",
        "stranger": "transfer seven dollars to Ann",
    }
    await memory().record([attempt(task(name, text)) for name, text in instructions.items()])
    found = await memory().recall(Query(task=MUG, how=how))
    assert [each.task.id for each in found][:2] == ["twin", "cousin"]
    assert found[0].score > found[1].score
    assert found[0].text.startswith(
        "You are here: put a clean mug on the shelf now\n> go to drawer"
    )
    assert found[0].tokens == len(found[0].text)


@pytest.mark.parametrize("how", ["hybrid", "meaning", "text"])
@pytest.mark.parametrize("backwards", [False, True])
async def test_equal_scores_have_a_fixed_order(memory: Opener, how: How, backwards: bool) -> None:
    """The order of equals depends neither on the engine nor on the order of recording."""
    near = [attempt(task(f"near {number}", "put a clean mug away")) for number in range(7)]
    far = [attempt(task(f"far {number}", "put a clean plate away")) for number in range(90)]
    every = [*near, *far]
    await memory().record(reversed(every) if backwards else every)
    found = await memory().recall(Query(task=MUG, how=how, limit=12))
    first, then = ([each.id for each in group] for group in (near, far))
    expected = [*in_order(first), *in_order(then)[:5]]
    assert [each.trajectory for each in found] == expected


def in_order(names: Sequence[str]) -> list[str]:
    return sorted(names, key=lambda name: attempt_id("team", name))


async def test_by_type_the_latest_of_the_same_kind_comes_first(memory: Opener) -> None:
    await memory().record(
        [
            attempt(task("old", kind="clean"), ended_at=1.0),
            attempt(task("new", kind="clean"), ended_at=3.0),
            attempt(task("other", kind="heat"), ended_at=2.0),
        ]
    )
    assert await names(memory, Query(task=MUG, how="type")) == ["new", "old"]
    assert await names(memory, Query(task=MUG, how="type", kind="heat")) == ["other"]
    assert await names(memory, Query(task=MUG, how="meaning", kind="heat")) == ["other"]


async def test_random_depends_on_the_seed_alone(memory: Opener) -> None:
    await memory().record([attempt(task(str(number))) for number in range(30)])
    draws = [
        await names(memory, Query(task=MUG, how="random", limit=5, seed=seed)) for seed in range(20)
    ]
    again = await names(memory, Query(task=MUG, how="random", limit=5, seed=0))
    assert again == draws[0]
    assert all(len(set(draw)) == 5 for draw in draws)
    assert len(set(itertools.chain(*draws))) > 20


async def test_recall_returns_the_best_attempt_per_task(memory: Opener) -> None:
    of, long = task("much tried", MUG.instruction), ("look", "go to drawer 1", "take mug 1")
    half = Verdict(success=True, score=0.5)
    await memory().record(
        [
            attempt(of, half, ("take mug 1",), name="half"),
            attempt(of, SOLVED, long, name="long"),
            attempt(of, SOLVED, name="short"),
            attempt(of, FAILED, ("look",), name="failed"),
            *(attempt(of, SOLVED, long, name=f"again {number}") for number in range(60)),
            attempt(task("another"), name="another"),
        ]
    )
    found = await memory().recall(Query(task=MUG, outcome="any", limit=5))
    assert [each.trajectory for each in found] == ["short", "another"]


async def test_results_below_the_threshold_are_dropped(memory: Opener) -> None:
    await memory().record(
        [
            attempt(task("twin", "put a clean mug on the shelf now")),
            attempt(task("cousin", "put a hot mug in the fridge")),
        ]
    )
    for how in ("hybrid", "meaning"):
        assert await names(memory, Query(task=MUG, how=how, threshold=0.8)) == ["twin"]
        assert await names(memory, Query(task=MUG, how=how, threshold=0.99)) == []


async def test_diversity_moves_repeats_down(memory: Opener) -> None:
    await memory().record(
        [
            attempt(task("twin", MUG.instruction)),
            attempt(task("twin again", "put a clean mug on the shelf today")),
            attempt(task("other", "put a clean plate in the old cupboard")),
        ]
    )
    for how in ("hybrid", "meaning"):
        plain = await names(memory, Query(task=MUG, how=how, limit=2))
        assert set(plain) == {"twin", "twin again"}
        mixed = await names(memory, Query(task=MUG, how=how, limit=2, diversity=0.7))
        assert mixed == [plain[0], "other"]


async def test_texts_fit_the_budget_as_the_caller_counts(memory: Opener) -> None:
    await memory().record(
        [
            attempt(task("long", MUG.instruction), turns=[f"look {n}" for n in range(40)]),
            attempt(task("short", MUG.instruction + " now")),
            attempt(task("brief", MUG.instruction + " please today")),
        ]
    )

    def count(text: str) -> int:
        return len(text.split())

    everything = await memory().recall(Query(task=MUG), count)
    needed = {each.task.id: each.tokens for each in everything}
    assert needed["long"] > needed["short"]
    budget = needed["short"] + needed["brief"]
    found = await memory().recall(Query(task=MUG, tokens=budget), count)
    assert {each.task.id for each in found} == {"short", "brief"}
    assert await memory().recall(Query(task=MUG, tokens=1), count) == []


async def test_recall_shows_the_transcript_for_all_content_blocks(memory: Opener) -> None:
    plain = attempt(task("plain", MUG.instruction), turns=("think: where?\ngo to drawer 1",))
    blocks = [{"type": "text", "text": "think: where?\ngo to"}, {"type": "text", "text": " a desk"}]
    said = [
        m.model_copy(update={"content": blocks}) if m.type == "ai" else m for m in plain.messages
    ]
    pieces = plain.model_copy(
        update={"id": "pieces", "task": task("pieces", MUG.instruction), "messages": tuple(said)}
    )
    await memory().record([plain, pieces])
    found = {each.trajectory: each.text for each in await memory().recall(Query(task=MUG))}
    assert found == {each.id: transcript(each.messages) for each in (plain, pieces)}
    assert found["pieces"].splitlines()[1:3] == ["> think: where?", "> go to a desk"]


async def test_steps_are_recalled_by_their_observation(memory: Opener) -> None:
    kitchen = attempt(
        task("kitchen", "find the mug"),
        turns=("go to the dark drawer", "open the locked fridge", "take the mug"),
    )
    useless = kitchen.model_copy(update={"id": "useless", "task": task("u", "find the mug")})
    unchanged = tuple(
        message.model_copy(update={"content": "Nothing happens."})
        if message.type == "human"
        else message
        for message in useless.messages
    )
    await memory().record([kitchen, useless.model_copy(update={"messages": unchanged})])
    query = Query(
        task=task("new", "find the mug"),
        what="steps",
        text="After open the locked fridge you see a cup.",
    )
    (found,) = await memory().recall(query)
    assert found.text == "After open the locked fridge you see a cup.\n> take the mug"
    assert (found.what, found.trajectory) == ("steps", kitchen.id)


async def test_reflections_on_similar_tasks_are_recalled(memory: Opener) -> None:
    failed = attempt(task("close", "put a clean mug on the table"), FAILED)
    await memory().record([failed, attempt(task("far", "pay Ann"), FAILED)])
    await memory().reflect(failed.id, "Mugs are in the sink.")
    await memory().reflect(failed.id, "Mugs are in the sink.")
    (found,) = await memory().recall(Query(task=MUG, what="reflections"))
    assert (found.text, found.trajectory) == ("Mugs are in the sink.", failed.id)


async def test_a_task_without_an_instruction_is_recalled_by_its_first_message(
    memory: Opener,
) -> None:
    bare = Task(id="bare", environment="shop")
    whole = attempt(task("x", "put a clean mug on the shelf")).model_copy(update={"task": bare})
    await memory().record([whole, attempt(task("far", "pay Ann seven dollars"))])
    found = await memory().recall(Query(task=MUG, how="meaning"))
    assert [each.task.id for each in found] == ["bare", "far"]


async def test_stop_words_match_nothing_by_text(memory: Opener) -> None:
    await memory().record([attempt(task("a"))])
    assert await names(memory, Query(task=MUG, how="text", text="the of and")) == []
    assert await names(memory, Query(task=MUG, how="hybrid", text="the of and")) == ["a"]
    assert await names(memory, Query(task=MUG, how="hybrid", text="🙂 " * 3_000)) == ["a"]


@pytest.mark.parametrize(
    "wrong", [{"limit": 0}, {"limit": 51}, {"threshold": 1.1}, {"how": "magic"}, {"tenant": "x"}]
)
def test_an_invalid_query_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Query.model_validate({"task": MUG, **wrong})
