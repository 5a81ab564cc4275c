"""The training graph: whatever starts it, it does the one next thing, once."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from httpx import ConnectError
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

from apprentice.environments.household.expert import Knowledge
from apprentice.graphs import episode, training
from apprentice.memory.experience import opening
from apprentice.memory.releases import Releases
from apprentice.memory.store import data_folder
from apprentice.models.fit import base_fingerprint
from apprentice.models.names import adapters_root
from apprentice.nodes.attempt import attempted
from apprentice.nodes.training import evaluate, watch
from apprentice.nodes.training.trigger import SETTING, Counter, group
from apprentice.nodes.training.workshop import Jobs, covered, local_jobs
from apprentice.state.context import NO_ADAPTER, Context
from apprentice.state.errors import BadInput, BrokenData, OutOfBounds, UnknownName
from apprentice.state.nouns import Task, Trajectory, Verdict, text_of
from apprentice.state.releases import Release
from apprentice.training import adapters, jobs
from apprentice.training.datasets.card import DATA
from apprentice.training.jobs import (
    FAILURE,
    Job,
    LocalLauncher,
    holding,
    in_turn,
    write_job,
    write_whole,
)
from apprentice.training.rounds import End, Rounds
from tests.conftest import Offer
from tests.fakes import Scripted
from tests.places import environment
from tests.training.attempts import NORTH, attempt, pairs, speaking, told, words
from tests.training.work import untrained

Run = Callable[..., Any]
ATTEMPTS = list(pairs(80))
ENOUGH = len(ATTEMPTS)
PLAIN = "Which one?"


class Hands(LocalLauncher):
    """A launcher that starts nothing; the test does the trainer's part."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.launched: list[str] = []

    def launch(self, job: Job) -> str:
        """Write the job down, and remember that it would have been started."""
        write_job(self.root, job)
        (self.root / job.id / FAILURE).unlink(missing_ok=True)
        self.launched.append(job.id)
        return job.id

    def finish(self) -> str:
        """End the last job well: its adapter is registered."""
        return untrained(self.root / self.launched[-1]).name

    def fail(self) -> None:
        """End the last job badly."""
        write_whole(self.root / self.launched[-1] / FAILURE, {"error": "The loss is nan."})


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the real engine open throughout; every test has a tenant of its own."""
    with pytest.MonkeyPatch.context() as settings:
        settings.delenv("QDRANT_URL", raising=False)
        settings.delenv("APPRENTICE_ADAPTERS", raising=False)
        settings.setenv("APPRENTICE_DATA", str(tmp_path_factory.mktemp("data")))
        yield
        asyncio.run(opening.close())


@pytest.fixture
def tenant() -> str:
    return str(uuid4())


@pytest.fixture
def hands(tmp_path: Path) -> Hands:
    return Hands(tmp_path / "jobs")


@pytest.fixture
def store() -> InMemoryStore:
    return InMemoryStore()


@pytest.fixture
def run(tenant: str, hands: Hands, store: InMemoryStore) -> Run:
    """Run the graph once."""
    graph = training.build(memory=words, jobs=lambda: hands).compile(store=store)

    async def once(model: str = "local:novice", **given: Any) -> Any:
        asked: Any = {"environment": NORTH, "threshold": ENOUGH, **given}
        return await graph.ainvoke(asked, context=Context(tenant=tenant, model=model))

    return once


@pytest.fixture
async def gathered(tenant: str) -> list[Trajectory]:
    return await record(tenant, ATTEMPTS)


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a model with an adapter know how things are in the north; without one, nothing."""
    model(monkeypatch, lambda adapter: told("north") if adapter else Knowledge())


@pytest.fixture
def unlearned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no adapter know anything."""
    model(monkeypatch, lambda _: Knowledge())


def model(
    patch: pytest.MonkeyPatch, knows: Callable[[str], Knowledge], tools: str = "<tool_call>"
) -> None:
    """Put the expert in the place of the model; with an adapter it says this where tools are."""

    def chat(name: str, *, adapter: str, **_: Any) -> Scripted:
        def turn(messages: list[Any]) -> str:
            if "<tools>" in text_of(messages[0]):
                return tools if adapter else PLAIN
            return speaking(knows(adapter))(messages)

        return Scripted(turn)

    patch.setattr("apprentice.nodes.agents.chat", chat)


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


def registered(hands: Hands, tenant: str) -> adapters.Adapter:
    """Register an adapter that no round has made."""
    folder = hands.root.parent / "other"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    other = adapters.Adapter(
        name=f"other-{tenant}",
        method="sft",
        base="novice",
        base_fingerprint=base_fingerprint("novice"),
    )
    return adapters.register(other, folder)


async def in_force(adapter: adapters.Adapter, store: InMemoryStore, tenant: str) -> None:
    """Put an adapter in force."""
    release = Release(
        id="other", tenant=tenant, environment=NORTH, adapter=adapter.name, model="local:novice"
    )
    await Releases(store, tenant, NORTH).publish(release)


def rounds(tenant: str) -> Rounds:
    return Rounds(data_folder(), tenant, NORTH, "novice")


async def test_too_few_attempts_wait_for_more(run: Run, tenant: str, hands: Hands) -> None:
    await record(tenant, ATTEMPTS[:30])
    ended = await run()
    assert ended["stage"] == "waiting"
    assert f"30 judged attempts on training tasks of {NORTH}" in ended["reason"]
    assert f"{ENOUGH - 30} more are needed" in ended["reason"]
    assert ended["evidence"].attempts == 30
    assert hands.launched == []


async def test_an_adapter_that_helps_is_trained_once_and_put_in_force(
    run: Run, gathered: Any, tenant: str, hands: Hands, store: InMemoryStore, learned: None
) -> None:
    started = await run()
    assert (started["stage"], started["advice"].method) == ("training", "sft")
    twice = await asyncio.gather(run(), run())
    assert [ended["stage"] for ended in twice] == ["training", "training"]
    assert set(hands.launched) == {started["job"]}
    assert len(list(rounds(tenant).all())) == 1

    adapter = hands.finish()
    promoted = await run()
    assert promoted["stage"] == "promoted", promoted["reason"]
    numbers = promoted["decisions"][NORTH].numbers
    assert numbers.candidate > numbers.incumbent + 0.2
    assert adapters.read(adapter).status == "promoted"
    again = await run()
    assert again["stage"] == "waiting"
    assert "0 judged attempts" in again["reason"]

    acting: Any = episode.build().compile(store=store)
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
    run: Run, gathered: Any, tenant: str, hands: Hands
) -> None:
    ended = await asyncio.gather(*(run() for _ in range(3)))
    assert {one["stage"] for one in ended} == {"training"}
    assert len({one["job"] for one in ended} | set(hands.launched)) == 1
    assert len(list(rounds(tenant).all())) == 1


async def test_a_run_that_is_overtaken_begins_no_second_round(
    run: Run, gathered: Any, tenant: str, hands: Hands, store: InMemoryStore
) -> None:
    graph = training.build(memory=words, jobs=lambda: hands).compile(
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
    assert [begun.number for begun, _ in rounds(tenant).all()] == [0]
    assert len(hands.launched) == 1


async def test_an_adapter_that_does_not_help_changes_nothing(
    run: Run, gathered: Any, tenant: str, hands: Hands, store: InMemoryStore, unlearned: None
) -> None:
    await run()
    adapter = hands.finish()
    ended = await run(held_out=48)
    assert ended["stage"] == "rejected"
    assert await Releases(store, tenant, NORTH).current() is None
    card = adapters.read(adapter)
    assert (card.status, card.reason) == ("rejected", ended["reason"])
    assert (await run())["stage"] == "waiting"


async def test_an_adapter_has_to_be_better_than_the_plain_model_too(
    run: Run, gathered: Any, tenant: str, hands: Hands, store: InMemoryStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    # What is in force has gone bad, so a new adapter beats it by being no more than ignorant.
    bad = registered(hands, tenant)
    await in_force(bad, store, tenant)

    def chat(name: str, *, adapter: str, **_: Any) -> Scripted:
        clueless = Scripted(lambda _: "look")
        return clueless if adapter == bad.name else Scripted(speaking(Knowledge()))

    monkeypatch.setattr("apprentice.nodes.agents.chat", chat)
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
    run: Run, gathered: Any, hands: Hands, monkeypatch: pytest.MonkeyPatch, says: str, stage: str
) -> None:
    model(monkeypatch, lambda adapter: told("north") if adapter else Knowledge(), says)
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
        ({"keep": ["toolcalls/banking"]}, "Train for toolcalls, which toolcalls/banking belongs"),
        ({"keep": ["qa/plain"]}, "Give some of its tasks one of those"),
    ],
)
async def test_what_cannot_be_tried_out_is_not_trained(
    run: Run, gathered: Any, tenant: str, hands: Hands, offer: Offer, given: Any, says: str
) -> None:
    offer("qa/plain", {"id": "a", "question": "Capital of Norway?", "answer": "Oslo"})
    ended = await run(**given)
    assert ended["stage"] == "refused"
    assert "but " + given["keep"][0] + " has only the splits train." in ended["reason"]
    assert says in ended["reason"]
    assert (hands.launched, list(rounds(tenant).all())) == ([], [])


async def test_runs_that_evaluate_at_once_repeat_nothing(
    run: Run, gathered: Any, hands: Hands, learned: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[str, str]] = []

    async def counted(graph: Any, task: Task, shown: Any, context: Context, **given: Any) -> Any:
        tried.append((task.id, context.adapter))
        return await attempted(graph, task, shown, context, **given)

    monkeypatch.setattr(evaluate, "attempted", counted)
    await run()
    hands.finish()
    ended = await asyncio.gather(*(run(held_out=24) for _ in range(6)))
    assert len(tried) == len(set(tried)) > 0
    stages = {one["stage"] for one in ended}
    assert stages - {"training"} == {"promoted"}
    others = [one for one in ended if one["stage"] == "training"]
    assert all("is being evaluated by another run" in one["reason"] for one in others)


async def test_a_run_waits_for_one_that_only_looks_at_the_round(
    run: Run, gathered: Any, hands: Hands, learned: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run()
    hands.finish()
    claim, refused = Rounds.claim, iter((True, True, False, True))

    def held(own: Rounds, number: int) -> Any:
        return None if next(refused, False) else claim(own, number)

    monkeypatch.setattr(Rounds, "claim", held)
    assert (await run())["stage"] == "promoted"


@pytest.fixture
def halted(hands: Hands, store: InMemoryStore, tenant: str) -> Run:
    """Run the graph until an adapter is to be promoted, and then again to its end."""
    graph = training.build(memory=words, jobs=lambda: hands).compile(
        store=store, checkpointer=InMemorySaver(), interrupt_before=["promote"]
    )

    async def onward(given: Any) -> Any:
        thread: Any = {"configurable": {"thread_id": tenant}}
        context = Context(tenant=tenant, model="local:novice")
        return await graph.ainvoke(given, thread, context=context)

    return onward


async def test_a_round_that_another_run_ended_is_not_ended_again(
    run: Run, halted: Run, gathered: Any, tenant: str, hands: Hands, store: InMemoryStore,
    learned: None,
) -> None:  # fmt: skip
    await run()
    adapter = hands.finish()
    await halted({"environment": NORTH})
    rounds(tenant).end(0, End(outcome="rejected", reason="Another run said so."))
    ended = await halted(None)
    assert (ended["stage"], ended["reason"]) == ("rejected", "Another run said so.")
    assert await Releases(store, tenant, NORTH).current() is None
    assert adapters.read(adapter).status == "candidate"


async def test_an_adapter_is_compared_with_the_one_that_came_into_force_meanwhile(
    run: Run, halted: Run, gathered: Any, tenant: str, hands: Hands, store: InMemoryStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    other = registered(hands, tenant)
    model(monkeypatch, lambda adapter: told("north") if adapter else Knowledge())
    await run()
    adapter = hands.finish()
    await halted({"environment": NORTH})
    await in_force(other, store, tenant)
    ended = await halted(None)
    assert ended["stage"] == "training"
    assert "put in force meanwhile" in ended["reason"]
    ended = await run(held_out=48)
    assert ended["stage"] == "rejected"  # it is no better than that one
    assert adapters.read(adapter).status == "rejected"
    current = await Releases(store, tenant, NORTH).current()
    assert current
    assert current.adapter == other.name


async def test_what_is_in_force_by_a_run_that_was_ended_there_is_no_rival(
    run: Run, gathered: Any, tenant: str, hands: Hands, store: InMemoryStore, learned: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    await run()
    adapter = hands.finish()

    def dies(*_: Any) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(Rounds, "end", dies)
        with pytest.raises(MemoryError):
            await run()
    current = await Releases(store, tenant, NORTH).current()
    assert current
    assert current.adapter == adapter
    assert (await run(held_out=48, keep=["toolcalls"]))["stage"] == "promoted"
    assert len(await Releases(store, tenant, NORTH).promotions()) == 1


async def test_what_cannot_be_evaluated_is_over_and_taken_up_when_asked(
    run: Run, gathered: Any, tenant: str, hands: Hands, unlearned: None
) -> None:
    first = await run()
    hands.finish()
    data = rounds(tenant).datasets / first["dataset"] / DATA
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
    run: Run, gathered: Any, tenant: str, hands: Hands, learned: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    async def unjudged(graph: Any, task: Task, shown: Any, context: Context, **given: Any) -> Any:
        ended = await attempted(graph, task, shown, context, **given)
        return ended.model_copy(update={"verdict": Verdict()})

    await run()
    hands.finish()
    with monkeypatch.context() as later:
        later.setattr(evaluate, "attempted", unjudged)
        ended = await run(held_out=24)
    assert ended["stage"] == "failed"
    assert (
        "No attempt at 24 held-out tasks of household/north/small has a verdict" in ended["reason"]
    )
    assert (await run(again=True))["stage"] == "promoted"


async def test_an_adapter_that_was_pruned_is_made_again(
    run: Run, gathered: Any, hands: Hands, unlearned: None
) -> None:
    first = await run()
    shutil.rmtree(adapters_root() / hands.finish())
    assert (await run())["stage"] == "training"
    assert hands.launched == [first["job"]] * 2
    hands.finish()
    assert (await run(held_out=24))["stage"] == "rejected"


@pytest.mark.parametrize("finished", [False, True])
async def test_a_round_whose_base_changes_is_over(
    run: Run, gathered: Any, tenant: str, hands: Hands, learned: None, finished: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    first = await run()
    if finished:
        hands.finish()
    for module in (adapters, jobs):
        monkeypatch.setattr(module, "base_fingerprint", lambda _: "other weights")
    ended = await run()
    assert ended["stage"] == "failed"
    assert "other weights" in ended["reason"]
    assert hands.launched == [first["job"]]
    if finished:
        assert adapters.read(first["adapter"]).status == "incompatible"
    assert (await run())["stage"] == "waiting"
    again = await run(again=True)
    assert again["stage"] == "training"
    assert again["job"] != first["job"]
    assert hands.launched == [first["job"], again["job"]]


async def test_who_follows_a_job_that_never_begins_does_not_wait_for_ever(
    run: Run, gathered: Any, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PATIENCE", 0.1)
    monkeypatch.setattr(watch, "PAUSE", 0.05)
    ended = await asyncio.wait_for(run(follow=True), 30)
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
    assert "export the dataset" in ended["reason"]
    assert hands.launched == []


async def test_a_tampered_dataset_is_not_trained_on(
    run: Run, gathered: Any, tenant: str, hands: Hands
) -> None:
    first = await run()
    shutil.rmtree(hands.root)
    data = rounds(tenant).datasets / first["dataset"] / DATA
    data.write_text(data.read_text().replace("drawer", "cellar", 1))
    ended = await run()
    assert ended["stage"] == "failed"
    assert "does not match its card" in ended["reason"]
    assert hands.launched == [first["job"]]
    assert (await run())["stage"] == "waiting"


async def test_held_out_attempts_are_never_trained_on(
    run: Run, gathered: Any, tenant: str, hands: Hands
) -> None:
    await record(tenant, list(pairs(10, "test")))
    ended = await run()
    rows = (rounds(tenant).datasets / ended["dataset"] / DATA).read_text().splitlines()
    said = {turn["content"] for row in rows for turn in json.loads(row)["messages"]}
    openings = {text_of(one.messages[1]) for one in pairs(10, "test")}
    assert not said & openings


async def test_a_changed_base_takes_its_adapter_out_of_force(
    run: Run, gathered: Any, tenant: str, hands: Hands, store: InMemoryStore, learned: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    await run()
    adapter = hands.finish()
    await run()
    monkeypatch.setattr(adapters, "base_fingerprint", lambda _: "other weights")
    graph = training.build(memory=words, jobs=lambda: hands).compile(store=store)
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
    assert (again["adapter"], again["dataset"]) == (adapter, adapters.read(adapter).dataset)
    release = await Releases(store, tenant, NORTH).current()
    assert release is not None
    assert release.adapter == ""
    assert adapters.read(adapter).status == "incompatible"


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"environment": ""}, BadInput, "No environment was given"),
        ({"environment": "houshold"}, UnknownName, "Did you mean 'household'"),
        ({"threshold": 0}, OutOfBounds, "threshold"),
        ({"settings": {"base": "other"}}, BadInput, "'base' is not for settings"),
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
    attempts: list[Trajectory], runtime: Any, counter: Counter, jobs: Jobs = local_jobs
) -> list[dict[str, Any]]:
    """Take note of attempts one by one, as they are recorded; return what was started."""
    started: list[dict[str, Any]] = []

    async def start(given: dict[str, Any], _: Context) -> None:
        started.append(given)

    for one in attempts:
        (own,) = await record(runtime.context.tenant, [one])
        await trigger_training([own], runtime, words, start, counter, jobs)
    return started


async def test_the_recording_that_crosses_the_threshold_starts_the_training(
    tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, "5")
    counter, runtime = Counter(), Runtime(tenant)
    assert await note(ATTEMPTS[:4], runtime, counter) == []
    assert await note(ATTEMPTS[4:5], runtime, counter) == [{"environment": NORTH, "threshold": 5}]
    assert await note(ATTEMPTS[5:9], runtime, counter) == []
    # A server that was restarted counts from memory.
    assert len(await note(ATTEMPTS[9:10], runtime, Counter())) == 1


async def test_what_is_recorded_while_a_round_is_open_counts_for_the_next(
    run: Run, tenant: str, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, "5")
    counter, runtime = Counter(), Runtime(tenant)
    assert await note(ATTEMPTS[:5], runtime, counter) != []
    await record(tenant, ATTEMPTS[5:-6])
    await run(threshold=5)
    open_round = rounds(tenant).last()
    assert open_round
    later = [judged_later(one, open_round[0].seen) for one in ATTEMPTS[-6:]]
    with holding(hands.root / open_round[0].job):
        assert await note(later[:5], runtime, counter, lambda: hands) == []
    rounds(tenant).end(0, End(outcome="rejected", reason="It did not help."))
    assert await note(later[5:], runtime, counter, lambda: hands) != []


async def test_a_training_that_could_not_be_started_is_started_by_the_next_recording(
    tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, "3")
    counter = Counter()
    runtime: Any = Runtime(tenant)

    async def refused(*_: Any) -> None:
        raise ConnectError("All connection attempts failed")

    own = await record(tenant, ATTEMPTS[:3])
    assert not await trigger_training(own, runtime, words, refused, counter)
    assert "All connection attempts failed" in runtime.said[0]["reason"]
    assert await note(ATTEMPTS[3:4], runtime, counter) != []


async def test_a_round_that_is_open_is_looked_at_when_its_job_has_moved(
    run: Run, gathered: Any, tenant: str, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = (await run())["job"]
    counter, runtime = Counter(), Runtime(tenant)
    later = [one.model_copy(update={"id": f"{one.id}-b"}) for one in ATTEMPTS[:20]]

    async def looks(new: list[Trajectory]) -> int:
        return len(await note(new, runtime, counter, lambda: hands))

    with holding(hands.root / job) as held:
        assert await looks(later[:3]) == 0
        with in_turn(hands.root / job, held):
            assert await looks(later[3:5]) == 0
    hands.finish()
    claim = rounds(tenant).claim(0)
    assert claim is not None
    with claim:
        assert await looks(later[5:8]) == 0  # a run evaluates it
    assert await looks(later[8:14]) == 1
    monkeypatch.setattr("apprentice.nodes.training.trigger.AGAIN", 0.0)
    assert await looks(later[14:15]) == 1  # that run may have been killed


@pytest.mark.parametrize("broken", ["round", "setting"])
async def test_a_recording_never_fails_for_the_training(
    run: Run, gathered: Any, tenant: str, broken: str, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    await run()
    if broken == "round":
        (rounds(tenant).folder / "0000.json").write_text("{")
    else:
        monkeypatch.setenv(SETTING, "200 # note")
    runtime = Runtime(tenant)
    assert await note(ATTEMPTS[:1], runtime, Counter()) == []
    (said,) = runtime.said
    assert said["type"] == "training.notice"
    assert ("cannot be read as a round" if broken == "round" else "200 # note") in said["reason"]
    assert said["reason"] in caplog.text


async def test_a_training_that_a_recording_starts_acts_and_judges_as_it_does(
    tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[dict[str, Any]] = []

    class Client:
        """As much of a server's client as starts a run."""

        def __init__(self) -> None:
            self.runs = self

        async def create(self, thread: None, graph: str, **given: Any) -> None:
            """Remember what was started."""
            started.append(given["context"])

    monkeypatch.setitem(sys.modules, "langgraph_api.server", sys)
    monkeypatch.setattr("apprentice.nodes.training.trigger.get_client", lambda **_: Client())
    monkeypatch.setenv(SETTING, "1")
    runtime: Any = Runtime(tenant)
    acting: Any = {"max_tokens": 2000, "temperature": 0.7, "judge_model": "openai:gpt-5-mini"}
    runtime.context = Context(tenant=tenant, adapter="own", seed=3, **acting)
    (own,) = await record(tenant, ATTEMPTS[:1])
    assert await trigger_training([own], runtime, words, counter=Counter())
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
    setting: str, model: str, change: dict[str, Any], tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, setting)
    attempts = [one.model_copy(update=change) for one in ATTEMPTS[:4]]
    assert await note(attempts, Runtime(tenant, model), Counter()) == []


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
    assert group(name) == root


def test_an_environment_covers_those_beneath_it() -> None:
    assert "toolcalls/clinic" in covered("toolcalls")
    assert covered(NORTH) == [NORTH]
    assert environment("toolcalls").name == "toolcalls"
