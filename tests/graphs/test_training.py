"""The training graph: whatever starts it, it does the one next thing, once."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from httpx import ConnectError
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

from apprentice.environments.household.expert import Knowledge
from apprentice.graphs import episode, training
from apprentice.memory.releases import Releases
from apprentice.models.adapter_fit import base_fingerprint
from apprentice.models.names import LocalModels
from apprentice.nodes.training.trigger import group, start_on_server, trigger_training
from apprentice.settings import Settings
from apprentice.state.context import NO_ADAPTER, Context
from apprentice.state.errors import BadInput, BrokenData, OutOfBounds, UnknownName
from apprentice.state.releases import Release
from apprentice.state.trajectory import Trajectory, Verdict, text_of
from apprentice.testing import Scripted
from apprentice.training.adapters import Adapter, Adapters
from apprentice.training.attempt_counter import Counter
from apprentice.training.datasets.card import DATA
from apprentice.training.jobs import (
    FAILURE,
    Job,
    Launcher,
    LocalLauncher,
    hold_lock,
    in_turn,
    write_job,
    write_whole,
)
from apprentice.training.rounds import End, Rounds
from apprentice.workspace import Workspace
from tests.conftest import Offer
from tests.memories import shared
from tests.places import ENVIRONMENTS, environment
from tests.training.attempts import NORTH, attempt, pairs, speaking, told
from tests.training.work import untrained

Run = Callable[..., Any]
words = shared().experience
ATTEMPTS = list(pairs(80))
ENOUGH = len(ATTEMPTS)
PLAIN = "Which one?"


class Hands(LocalLauncher):
    """A launcher that starts nothing; the test does the trainer's part."""

    def __init__(self, root: Path, registry: Adapters) -> None:
        super().__init__(root, registry, lambda *_: None)
        self.registry = registry
        self.launched: list[str] = []

    def launch(self, job: Job) -> str:
        """Write the job down, and remember that it would have been started."""
        write_job(self.root, job)
        (self.root / job.id / FAILURE).unlink(missing_ok=True)
        self.launched.append(job.id)
        return job.id

    def finish(self) -> str:
        """End the last job well: its adapter is registered."""
        return untrained(self.root / self.launched[-1], self.registry).name

    def fail(self) -> None:
        """End the last job badly."""
        write_whole(self.root / self.launched[-1] / FAILURE, {"error": "The loss is nan."})


class Moved(LocalModels):
    """Has the weights of the shipped models, too, where a test can change them."""

    def place(self, name: str) -> Path:
        assert self.root
        return self.root / name


class Place(Workspace):
    """A workspace in which the expert is the model, and a test is the trainer.

    Attributes:
        knows: what the expert knows with an adapter.
        says: what it says with an adapter where there are tools.
        tried: the openings that it was shown, each with the adapter.
        kind: of the rounds.
    """

    def __init__(self, folder: Path) -> None:
        settings = Settings(qdrant_url="", tasks=folder / "tasks")
        super().__init__(
            folder / "data", model="local:novice", settings=settings, chat_models=self.speak
        )
        self.knows: Callable[[str], Knowledge] = lambda _: Knowledge()
        self.says = "<tool_call>"
        self.clueless = ""
        self.tried: list[tuple[str, str]] = []
        self.kind = Rounds
        self.weights("first")
        self.hands = Hands(folder / "jobs", self.adapters)

    @property
    def local_models(self) -> LocalModels:
        return Moved(self.data / "models", self.data / "adapters")

    def weights(self, text: str) -> None:
        """Let the base have other weights."""
        folder = self.data / "models" / "novice"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"weights": text}))

    def launcher(self, root: Path | None = None, *, in_turn: bool = True) -> Launcher:
        return self.hands

    def rounds(self, tenant: str, environment: str, base: str) -> Rounds:
        return self.kind(self.data, tenant, environment, base)

    def after(self, attempts: int) -> None:
        """Let so many attempts start a training."""
        changed = self.settings.model_copy(update={"train_after": attempts})
        vars(self)["settings"] = changed

    def speak(self, name: str, *, adapter: str = "", **_: Any) -> Scripted:
        """Return the expert; with an adapter it says something else where tools are."""
        if adapter and adapter == self.clueless:
            return Scripted(lambda _: "look")

        def turn(messages: list[Any]) -> str:
            if len(messages) == 2:
                self.tried.append((text_of(messages[1]), adapter))
            if "<tools>" in text_of(messages[0]):
                return self.says if adapter else PLAIN
            return speaking(self.knows(adapter))(messages)

        return Scripted(turn)


@pytest.fixture
def tenant() -> str:
    return str(uuid4())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def hands(place: Place) -> Hands:
    return place.hands


@pytest.fixture
def store() -> InMemoryStore:
    return InMemoryStore()


Start = Callable[..., Run]


@pytest.fixture
def started(tenant: str, place: Place, store: InMemoryStore) -> Start:
    """Return what builds the graph with some parts of one's own, to be run once at a time."""

    def build(**parts: Any) -> Run:
        built = training.build(workspace=place, recall_from=words, **parts)
        graph = built.compile(store=store)

        async def once(model: str = "local:novice", **given: Any) -> Any:
            asked: Any = {"environment": NORTH, "threshold": ENOUGH, **given}
            return await graph.ainvoke(asked, context=Context(tenant=tenant, model=model))

        return once

    return build


@pytest.fixture
def run(started: Start) -> Run:
    """Run the graph once."""
    return started()


@pytest.fixture
async def gathered(tenant: str) -> list[Trajectory]:
    return await record(tenant, ATTEMPTS)


@pytest.fixture
def learned(place: Place) -> None:
    """Let a model with an adapter know how things are in the north; without one, nothing."""
    place.knows = lambda adapter: told("north") if adapter else Knowledge()


def judged_later(attempt: Trajectory, seen: float) -> Trajectory:
    """Return an attempt that was judged after those that a round rests on."""
    return attempt.model_copy(update={"ended_at": seen + 1.0})


async def record(tenant: str, attempts: list[Trajectory]) -> list[Trajectory]:
    """Record attempts as a tenant's own."""
    own = [
        one.model_copy(update={"tenant": tenant, "id": f"{tenant}-{one.id}"}) for one in attempts
    ]
    await (await words(tenant)).record(own)
    return own


def registered(place: Place, tenant: str) -> Adapter:
    """Register an adapter that no round has made."""
    folder = place.data / "other"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    other = Adapter(
        name=f"other-{tenant}",
        method="sft",
        base="novice",
        base_fingerprint=base_fingerprint(place.local_models.folder("novice")),
    )
    return place.adapters.register(other, folder)


async def in_force(adapter: Adapter, store: InMemoryStore, tenant: str) -> None:
    """Put an adapter in force."""
    release = Release(
        id="other", tenant=tenant, environment=NORTH, adapter=adapter.name, model="local:novice"
    )
    await Releases(store, tenant, NORTH).publish(release)


def rounds(place: Place, tenant: str) -> Rounds:
    return Rounds(place.data, tenant, NORTH, "novice")


async def test_too_few_attempts_wait_for_more(run: Run, tenant: str, hands: Hands) -> None:
    await record(tenant, ATTEMPTS[:30])
    ended = await run()
    assert ended["stage"] == "waiting"
    assert f"30 judged attempts on training tasks of {NORTH}" in ended["reason"]
    assert f"{ENOUGH - 30} more are needed" in ended["reason"]
    assert ended["evidence"].attempts == 30
    assert hands.launched == []


async def test_an_adapter_that_helps_is_trained_once_and_put_in_force(
    run: Run,
    gathered: Any,
    tenant: str,
    hands: Hands,
    store: InMemoryStore,
    learned: None,
    place: Place,
) -> None:
    started = await run()
    assert (started["stage"], started["advice"].method) == ("training", "sft")
    twice = await asyncio.gather(run(), run())
    assert [ended["stage"] for ended in twice] == ["training", "training"]
    assert set(hands.launched) == {started["job"]}
    assert len(list(rounds(place, tenant).all())) == 1

    adapter = hands.finish()
    promoted = await run()
    assert promoted["stage"] == "promoted", promoted["reason"]
    numbers = promoted["decisions"][NORTH].numbers
    assert numbers.candidate > numbers.incumbent + 0.2
    assert place.adapters.read(adapter).status == "promoted"
    again = await run()
    assert again["stage"] == "waiting"
    assert "0 judged attempts" in again["reason"]

    acting: Any = episode.build(workspace=place).compile(store=store)
    task = {"environment": NORTH, "id": "test/0"}
    used = await acting.ainvoke({"task": task}, context=Context(tenant=tenant))
    assert used["adapter"] == adapter
    for context in (Context(tenant=tenant, adapter=NO_ADAPTER), Context(tenant="other")):
        assert (await acting.ainvoke({"task": task}, context=context))["adapter"] == ""
    with pytest.raises(UnknownName, match="Unknown adapter"):
        await acting.ainvoke({"task": task}, context=Context(tenant="other", adapter=adapter))

    await Releases(store, tenant, NORTH).promote("", run="back")
    back = await acting.ainvoke({"task": task}, context=Context(tenant=tenant))
    assert back["adapter"] == ""


async def test_two_that_begin_at_once_have_one_job(
    run: Run, gathered: Any, tenant: str, hands: Hands, place: Place
) -> None:
    ended = await asyncio.gather(*(run() for _ in range(3)))
    assert {one["stage"] for one in ended} == {"training"}
    assert len({one["job"] for one in ended} | set(hands.launched)) == 1
    assert len(list(rounds(place, tenant).all())) == 1


async def test_a_run_that_is_overtaken_begins_no_second_round(
    run: Run, gathered: Any, tenant: str, hands: Hands, store: InMemoryStore, place: Place
) -> None:
    graph = training.build(workspace=place, recall_from=words).compile(
        store=store, checkpointer=InMemorySaver(), interrupt_before=["launch"]
    )
    given: Any = {"environment": NORTH, "threshold": ENOUGH}
    context = Context(tenant=tenant, model="local:novice")
    thread: Any = {"configurable": {"thread_id": "overtaken"}}
    await graph.ainvoke(given, thread, context=context)
    await run()
    hands.fail()
    await run()
    ended = await graph.ainvoke(None, thread, context=context)
    assert (ended["stage"], ended["reason"]) == ("failed", "The loss is nan.")
    assert [begun.number for begun, _ in rounds(place, tenant).all()] == [0]
    assert len(hands.launched) == 1


async def test_an_adapter_that_does_not_help_changes_nothing(
    run: Run,
    gathered: Any,
    tenant: str,
    hands: Hands,
    store: InMemoryStore,
    unlearned: None,
    place: Place,
) -> None:
    await run()
    adapter = hands.finish()
    ended = await run(held_out=48)
    assert ended["stage"] == "rejected"
    assert await Releases(store, tenant, NORTH).current() is None
    card = place.adapters.read(adapter)
    assert (card.status, card.reason) == ("rejected", ended["reason"])
    assert (await run())["stage"] == "waiting"


async def test_an_adapter_has_to_be_better_than_the_plain_model_too(
    run: Run, gathered: Any, tenant: str, hands: Hands, store: InMemoryStore, place: Place
) -> None:
    # What is in force has gone bad, so a new adapter beats it by being no more than ignorant.
    bad = registered(place, tenant)
    await in_force(bad, store, tenant)

    place.clueless = bad.name
    await run()
    hands.finish()
    ended = await run(held_out=48)
    numbers = ended["decisions"][NORTH].numbers
    assert numbers.incumbent == 0 < numbers.candidate == numbers.control
    assert ended["stage"] == "rejected"
    current = await Releases(store, tenant, NORTH).current()
    assert current is not None
    assert current.adapter == bad.name


@pytest.mark.parametrize(("says", "stage"), [(PLAIN, "promoted"), ("<tool_call>", "rejected")])
async def test_an_adapter_that_forgets_is_rejected(
    run: Run, gathered: Any, hands: Hands, learned: None, says: str, stage: str, place: Place
) -> None:
    place.says = says
    keep = {"keep": ["toolcalls"]}
    first, later = (keep, {}) if stage == "rejected" else ({}, keep)
    await run(**first)
    hands.finish()
    ended = await run(**later)  # whoever asks, the round keeps what it was begun to keep
    assert ended["decisions"][NORTH].outcome == "publish"
    kept = ended["decisions"]["toolcalls"].numbers
    assert ended["stage"] == stage, ended["reason"]
    if stage == "promoted":
        assert kept.candidate == kept.incumbent > 0
    else:
        assert ended["reason"].startswith("toolcalls: ")
        assert kept.candidate == 0 < kept.incumbent == kept.losses / kept.pairs


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"keep": ["toolcalls/banking"]}, "Train for toolcalls, which includes toolcalls/banking"),
        ({"keep": ["qa/plain"]}, "Put some of its tasks into one"),
    ],
)
async def test_what_cannot_be_tried_out_is_not_trained(
    run: Run,
    gathered: Any,
    tenant: str,
    hands: Hands,
    offer: Offer,
    given: Any,
    says: str,
    place: Place,
) -> None:
    offer("qa/plain", {"id": "a", "question": "Capital of Norway?", "answer": "Oslo"})
    ended = await run(**given)
    assert ended["stage"] == "refused"
    assert "but " + given["keep"][0] + " has only the splits train." in ended["reason"]
    assert says in ended["reason"]
    assert (hands.launched, list(rounds(place, tenant).all())) == ([], [])


async def test_runs_that_evaluate_at_once_repeat_nothing(
    run: Run, gathered: Any, hands: Hands, learned: None, place: Place
) -> None:
    await run()
    hands.finish()
    ended = await asyncio.gather(*(run(held_out=24) for _ in range(6)))
    assert 0 < len(place.tried) <= 2 * 24  # each task at most once with the adapter and without
    stages = {one["stage"] for one in ended}
    assert stages - {"training"} in ({"promoted"}, {"rejected"})  # as those few tasks decide
    others = [one for one in ended if one["stage"] == "training"]
    assert all("is being evaluated by another run" in one["reason"] for one in others)


async def test_a_run_waits_for_one_that_only_looks_at_the_round(
    run: Run, gathered: Any, hands: Hands, learned: None, place: Place
) -> None:
    await run()
    hands.finish()
    refused = iter((True, True, False, True))

    class Held(Rounds):
        def claim(self, number: int) -> Any:
            return None if next(refused, False) else super().claim(number)

    place.kind = Held
    assert (await run())["stage"] == "promoted"


@pytest.fixture
def unlearned(place: Place) -> None:
    """Let no adapter know anything."""
    place.knows = lambda _: Knowledge()


@pytest.fixture
def halted(hands: Hands, store: InMemoryStore, tenant: str, place: Place) -> Run:
    """Run the graph until an adapter is to be promoted, and then again to its end."""
    graph = training.build(workspace=place, recall_from=words).compile(
        store=store, checkpointer=InMemorySaver(), interrupt_before=["promote"]
    )

    async def onward(given: Any) -> Any:
        thread: Any = {"configurable": {"thread_id": tenant}}
        context = Context(tenant=tenant, model="local:novice")
        return await graph.ainvoke(given, thread, context=context)

    return onward


async def test_a_round_that_another_run_ended_is_not_ended_again(
    run: Run,
    halted: Run,
    gathered: Any,
    tenant: str,
    hands: Hands,
    store: InMemoryStore,
    learned: None,
    place: Place,
) -> None:
    await run()
    adapter = hands.finish()
    await halted({"environment": NORTH})
    rounds(place, tenant).end(0, End(outcome="rejected", reason="Another run said so."))
    ended = await halted(None)
    assert (ended["stage"], ended["reason"]) == ("rejected", "Another run said so.")
    assert await Releases(store, tenant, NORTH).current() is None
    assert place.adapters.read(adapter).status == "candidate"


async def test_an_adapter_is_compared_with_the_one_that_came_into_force_meanwhile(
    run: Run,
    halted: Run,
    gathered: Any,
    tenant: str,
    hands: Hands,
    store: InMemoryStore,
    place: Place,
) -> None:
    other = registered(place, tenant)
    place.knows = lambda adapter: told("north") if adapter else Knowledge()
    await run()
    adapter = hands.finish()
    await halted({"environment": NORTH})
    await in_force(other, store, tenant)
    ended = await halted(None)
    assert ended["stage"] == "training"
    assert "was released meanwhile" in ended["reason"]
    ended = await run(held_out=48)
    assert ended["stage"] == "rejected"  # it is no better than that one
    assert place.adapters.read(adapter).status == "rejected"
    current = await Releases(store, tenant, NORTH).current()
    assert current
    assert current.adapter == other.name


async def test_what_is_in_force_by_a_run_that_was_ended_there_is_no_rival(
    run: Run,
    gathered: Any,
    tenant: str,
    hands: Hands,
    store: InMemoryStore,
    learned: None,
    place: Place,
) -> None:
    await run()
    adapter = hands.finish()

    class Dying(Rounds):
        def end(self, number: int, how: End) -> End:
            raise MemoryError

    place.kind = Dying
    with pytest.raises(MemoryError):
        await run()
    place.kind = Rounds
    current = await Releases(store, tenant, NORTH).current()
    assert current
    assert current.adapter == adapter
    assert (await run(held_out=48, keep=["toolcalls"]))["stage"] == "promoted"
    assert len(await Releases(store, tenant, NORTH).promotions()) == 1


async def test_what_cannot_be_evaluated_is_over_and_taken_up_when_asked(
    run: Run, gathered: Any, tenant: str, hands: Hands, unlearned: None, place: Place
) -> None:
    first = await run()
    hands.finish()
    data = rounds(place, tenant).datasets / first["dataset"] / DATA
    whole = data.read_text()
    data.write_text(whole + "{}\n")
    ended = await run()
    assert ended["stage"] == "failed"
    assert "does not match its card" in ended["reason"]
    assert (await run())["stage"] == "waiting"
    with pytest.raises(BrokenData, match="does not match its card"):
        await run(again=True)
    data.write_text(whole)
    assert (await run(again=True, held_out=24))["stage"] == "rejected"
    assert hands.launched == [first["job"]] * 2  # a launcher does nothing for what has ended


async def test_what_nobody_judges_decides_nothing_and_can_be_tried_anew(
    run: Run, gathered: Any, tenant: str, hands: Hands, learned: None, started: Start
) -> None:
    await run()
    hands.finish()
    ended = await started(judge=lambda *_: Verdict())(held_out=24)
    assert ended["stage"] == "failed"
    assert (
        "No attempt at 24 held-out tasks of household/north/small has a verdict" in ended["reason"]
    )
    assert (await run(again=True))["stage"] == "promoted"


async def test_an_adapter_that_was_pruned_is_made_again(
    run: Run, gathered: Any, hands: Hands, unlearned: None, place: Place
) -> None:
    first = await run()
    shutil.rmtree(place.adapters.root / hands.finish())
    assert (await run())["stage"] == "training"
    assert hands.launched == [first["job"]] * 2
    hands.finish()
    assert (await run(held_out=24))["stage"] == "rejected"


@pytest.mark.parametrize("finished", [False, True])
async def test_a_round_whose_base_changes_is_over(
    run: Run, gathered: Any, tenant: str, hands: Hands, learned: None, finished: bool, place: Place
) -> None:
    first = await run()
    if finished:
        hands.finish()
    place.weights("others")
    ended = await run()
    assert ended["stage"] == "failed"
    assert "other weights" in ended["reason"]
    assert hands.launched == [first["job"]]
    if finished:
        assert place.adapters.read(first["adapter"]).status == "incompatible"
    assert (await run())["stage"] == "waiting"
    again = await run(again=True)
    assert again["stage"] == "training"
    assert again["job"] != first["job"]
    assert hands.launched == [first["job"], again["job"]]


async def test_who_follows_a_job_that_never_begins_does_not_wait_for_ever(
    run: Run, gathered: Any, hands: Hands
) -> None:
    hands.patience, hands.pause = 0.1, 0.05
    ended = await asyncio.wait_for(run(follow=True), 300)
    assert ended["stage"] == "training"
    assert ended["reason"] == f"The job {ended['job']} is waiting."


async def test_a_failed_job_says_why_and_is_taken_up_when_asked(
    run: Run, gathered: Any, tenant: str, hands: Hands, store: InMemoryStore
) -> None:
    await run()
    hands.fail()
    failed = await run()
    assert (failed["stage"], failed["reason"]) == ("failed", "The loss is nan.")
    assert await Releases(store, tenant, NORTH).current() is None
    assert (await run())["stage"] == "waiting"
    again = await run(again=True)
    assert (again["stage"], again["job"]) == ("training", failed["job"])
    assert hands.launched == [failed["job"]] * 2


async def test_a_round_whose_job_was_never_launched_is_gone_on_with(
    run: Run, gathered: Any, hands: Hands
) -> None:
    first = await run()
    shutil.rmtree(hands.root)  # as if the server had been killed right before
    assert (await run())["job"] == first["job"]
    assert hands.launched == [first["job"]] * 2


async def test_new_attempts_make_a_new_round(
    run: Run, gathered: Any, tenant: str, hands: Hands, unlearned: None
) -> None:
    first = await run()
    hands.finish()
    await run(held_out=24)
    later = [one.model_copy(update={"ended_at": 5000.0, "id": f"{one.id}-b"}) for one in ATTEMPTS]
    await record(tenant, later[:90])
    assert (await run(threshold=91))["stage"] == "waiting"
    await record(tenant, [one for one in pairs(120) if one.task.id not in {
        two.task.id for two in ATTEMPTS}])  # fmt: skip
    second = await run(threshold=60)
    assert second["stage"] == "training"
    assert second["job"] != first["job"]


async def test_all_successes_hold_the_training_off(run: Run, tenant: str, hands: Hands) -> None:
    await record(tenant, [one for one in ATTEMPTS if one.verdict.success])
    ended = await run(threshold=50)
    assert ended["stage"] == "held_off"
    assert "nothing to correct" in ended["reason"]
    assert hands.launched == []


async def test_one_task_repeated_is_refused_even_when_people_insist(
    run: Run, tenant: str, hands: Hands
) -> None:
    task = ATTEMPTS[0].task
    await record(tenant, [attempt(task, told("north"), trial=number) for number in range(1, 13)])
    overruling = {"why": "It is urgent.", "by": "Ada", "method": "sft"}
    ended = await run(threshold=5, circumstances={"override": overruling})
    assert ended["stage"] == "refused"
    assert ended["advice"].overruled.by == "Ada"
    assert "needs at least 50 rows of 10 tasks" in ended["reason"]
    assert hands.launched == []


async def test_attempts_without_a_verdict_are_none(run: Run, tenant: str) -> None:
    await record(tenant, [one.model_copy(update={"verdict": Verdict()}) for one in ATTEMPTS])
    assert "0 judged attempts" in (await run())["reason"]


async def test_a_hosted_model_is_not_trained_here(run: Run, gathered: Any, hands: Hands) -> None:
    ended = await run(model="openai:gpt-4.1-mini")
    assert ended["stage"] == "held_off"
    assert "Export the dataset" in ended["reason"]
    assert hands.launched == []


async def test_a_tampered_dataset_is_not_trained_on(
    run: Run, gathered: Any, tenant: str, hands: Hands, place: Place
) -> None:
    first = await run()
    shutil.rmtree(hands.root)
    data = rounds(place, tenant).datasets / first["dataset"] / DATA
    data.write_text(data.read_text().replace("drawer", "cellar", 1))
    ended = await run()
    assert ended["stage"] == "failed"
    assert "does not match its card" in ended["reason"]
    assert hands.launched == [first["job"]]
    assert (await run())["stage"] == "waiting"


async def test_held_out_attempts_are_never_trained_on(
    run: Run, gathered: Any, tenant: str, hands: Hands, place: Place
) -> None:
    await record(tenant, list(pairs(10, "test")))
    ended = await run()
    rows = (rounds(place, tenant).datasets / ended["dataset"] / DATA).read_text().splitlines()
    said = {turn["content"] for row in rows for turn in json.loads(row)["messages"]}
    openings = {text_of(one.messages[1]) for one in pairs(10, "test")}
    assert not said & openings


async def test_a_changed_base_takes_its_adapter_out_of_force(
    run: Run,
    gathered: Any,
    tenant: str,
    hands: Hands,
    store: InMemoryStore,
    learned: None,
    place: Place,
) -> None:
    await run()
    adapter = hands.finish()
    await run()
    place.weights("others")
    graph = training.build(workspace=place, recall_from=words).compile(store=store)
    given: Any = {"environment": NORTH, "threshold": ENOUGH}
    others, own = [
        [
            event
            async for event in graph.astream(
                given, context=Context(tenant=name), stream_mode="custom"
            )
            if event["type"] == "training.incompatible" and event["adapter"] == adapter
        ]
        for name in ("another", tenant)
    ]
    assert others == []  # and nothing was taken from whom it concerns
    (told,) = own
    (again,) = told["plan"]
    assert (again["adapter"], again["dataset"]) == (adapter, place.adapters.read(adapter).dataset)
    release = await Releases(store, tenant, NORTH).current()
    assert release is not None
    assert release.adapter == ""
    assert place.adapters.read(adapter).status == "incompatible"


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"environment": ""}, BadInput, "No environment was given"),
        ({"environment": "houshold"}, UnknownName, "Did you mean 'household'"),
        ({"threshold": 0}, OutOfBounds, "threshold"),
        ({"settings": {"base": "other"}}, BadInput, "'base' is not a setting"),
        ({"settings": {"epoch": 3}}, BadInput, "no training setting 'epoch'"),
        ({"settings": {"rank": 0}}, BadInput, "'rank'"),
        ({"circumstances": {"budget": -1}}, BadInput, "circumstances.budget"),
        ({"keep": ["nowhere"]}, UnknownName, "environment 'nowhere'"),
    ],
)
async def test_bad_input_is_a_sentence(
    run: Run, given: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        await run(**given)


class Runtime:
    """As much of a run as takes note of a recording."""

    def __init__(self, tenant: str, model: str = "local:novice") -> None:
        self.context = Context(tenant=tenant, model=model)
        self.said: list[dict[str, Any]] = []

    def stream_writer(self, event: dict[str, Any]) -> None:
        """Keep what would be streamed."""
        self.said.append(event)


async def note(
    attempts: list[Trajectory], runtime: Any, workspace: Workspace
) -> list[dict[str, Any]]:
    """Take note of attempts one by one, as they are recorded; return what was started."""
    started: list[dict[str, Any]] = []

    async def start(given: dict[str, Any], _: Context) -> None:
        started.append(given)

    for one in attempts:
        (own,) = await record(runtime.context.tenant, [one])
        await trigger_training([own], runtime, words, workspace, start)
    return started


async def test_the_recording_that_crosses_the_threshold_starts_the_training(
    tenant: str, place: Place
) -> None:
    place.after(5)
    runtime = Runtime(tenant)
    assert await note(ATTEMPTS[:4], runtime, place) == []
    assert await note(ATTEMPTS[4:5], runtime, place) == [{"environment": NORTH, "threshold": 5}]
    assert await note(ATTEMPTS[5:9], runtime, place) == []
    place.new_attempts = Counter()  # a server that was restarted counts from memory
    assert len(await note(ATTEMPTS[9:10], runtime, place)) == 1


async def test_what_is_recorded_while_a_round_is_open_counts_for_the_next(
    run: Run, tenant: str, hands: Hands, place: Place
) -> None:
    place.after(5)
    runtime = Runtime(tenant)
    assert await note(ATTEMPTS[:5], runtime, place) != []
    await record(tenant, ATTEMPTS[5:-6])
    await run(threshold=5)
    open_round = rounds(place, tenant).last()
    assert open_round
    later = [judged_later(one, open_round[0].seen) for one in ATTEMPTS[-6:]]
    with hold_lock(hands.root / open_round[0].job):
        assert await note(later[:5], runtime, place) == []
    rounds(place, tenant).end(0, End(outcome="rejected", reason="It did not help."))
    assert await note(later[5:], runtime, place) != []


async def test_a_training_that_could_not_be_started_is_started_by_the_next_recording(
    tenant: str, place: Place
) -> None:
    place.after(3)
    runtime: Any = Runtime(tenant)

    async def refused(*_: Any) -> None:
        raise ConnectError("All connection attempts failed")

    own = await record(tenant, ATTEMPTS[:3])
    assert not await trigger_training(own, runtime, words, place, refused)
    assert "All connection attempts failed" in runtime.said[0]["reason"]
    assert await note(ATTEMPTS[3:4], runtime, place) != []


async def test_a_round_that_is_open_is_looked_at_when_its_job_has_moved(
    run: Run, gathered: Any, tenant: str, hands: Hands, place: Place
) -> None:
    job = (await run())["job"]
    runtime = Runtime(tenant)
    later = [one.model_copy(update={"id": f"{one.id}-b"}) for one in ATTEMPTS[:20]]

    async def looks(new: list[Trajectory]) -> int:
        return len(await note(new, runtime, place))

    with hold_lock(hands.root / job) as held:
        assert await looks(later[:3]) == 0
        with in_turn(hands.root / job, held):
            assert await looks(later[3:5]) == 0
    hands.finish()
    claim = rounds(place, tenant).claim(0)
    assert claim is not None
    with claim:
        assert await looks(later[5:8]) == 0  # a run evaluates it
    assert await looks(later[8:14]) == 1
    place.new_attempts.again = 0.0
    assert await looks(later[14:15]) == 1  # that run may have been killed


async def test_a_recording_never_fails_for_the_training(
    run: Run, gathered: Any, tenant: str, caplog: pytest.LogCaptureFixture, place: Place
) -> None:
    await run()
    (rounds(place, tenant).folder / "0000.json").write_text("{")
    runtime = Runtime(tenant)
    assert await note(ATTEMPTS[:1], runtime, place) == []
    (said,) = runtime.said
    assert said["type"] == "training.notice"
    assert "cannot be read as the round" in said["reason"]
    assert said["reason"] in caplog.text


async def test_a_training_that_a_recording_starts_acts_and_judges_as_it_does(
    tenant: str, place: Place
) -> None:
    started: list[dict[str, Any]] = []

    class Client:
        """As much of a server's client as starts a run."""

        def __init__(self) -> None:
            self.runs = self

        async def create(self, thread: None, graph: str, **given: Any) -> None:
            """Remember what was started."""
            started.append(given["context"])

    client: Any = Client()
    place.after(1)
    runtime: Any = Runtime(tenant)
    acting: Any = {"max_tokens": 2000, "temperature": 0.7, "judge_model": "openai:gpt-5-mini"}
    runtime.context = Context(tenant=tenant, adapter="own", seed=3, **acting)
    (own,) = await record(tenant, ATTEMPTS[:1])
    assert await trigger_training(
        [own], runtime, words, place, partial(start_on_server, client=client)
    )
    assert started == [{"tenant": tenant, "model": "local:novice", "judge": "model", **acting}]


@pytest.mark.parametrize(
    ("setting", "model", "change"),
    [
        ("0", "local:novice", {}),
        ("2", "openai:gpt-4.1-mini", {}),
        ("2", "local:novice", {"verdict": Verdict()}),
    ],
)
async def test_what_cannot_be_trained_on_starts_nothing(
    setting: str, model: str, change: dict[str, Any], tenant: str, place: Place
) -> None:
    place.after(int(setting))
    attempts = [one.model_copy(update=change) for one in ATTEMPTS[:4]]
    assert await note(attempts, Runtime(tenant, model), place) == []


@pytest.mark.parametrize(
    ("name", "root"),
    [
        ("toolcalls/banking", "toolcalls"),
        ("household/north/small", "household/north/small"),
        ("household/north", "household/north"),
        ("imported/elsewhere", "imported/elsewhere"),
    ],
)
def test_attempts_count_for_the_environment_that_covers_theirs(name: str, root: str) -> None:
    assert group(name, ENVIRONMENTS) == root


def test_an_environment_covers_those_beneath_it() -> None:
    assert "toolcalls/clinic" in ENVIRONMENTS.names_below("toolcalls")
    assert ENVIRONMENTS.names_below(NORTH) == [NORTH]
    assert environment("toolcalls").name == "toolcalls"
