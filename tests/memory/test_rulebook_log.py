"""The rulebook's log, in the stores that the project uses."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from langgraph.store.base import (
    BaseStore,
    GetOp,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
)
from langgraph.store.memory import InMemoryStore
from langgraph.store.sqlite.aio import AsyncSqliteStore

from apprentice.memory.rulebook import RulebookLog
from apprentice.state.errors import BadInput, BrokenData
from apprentice.state.rulebook import Batch, Operation, Rulebook, batch_key, fold, parse_operations

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight")


@asynccontextmanager
async def sqlite(path: Path) -> AsyncIterator[AsyncSqliteStore]:
    async with AsyncSqliteStore.from_conn_string(str(path / "store.sqlite")) as opened:
        await opened.setup()
        yield opened


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BaseStore]:
    if request.param == "memory":
        yield InMemoryStore()
        return
    async with sqlite(tmp_path) as opened:
        yield opened


def add(text: str) -> list[Operation]:
    return [Operation(kind="ADD", text=text)]


async def test_a_recorded_batch_is_read_back(store: BaseStore) -> None:
    log = RulebookLog(store)
    given = parse_operations("ADD: Look twice.\nADD: Look up.\nAGREE 7").operations
    applied = await log.record(given, run="r", evidence=("t1", "t2"), reason="a pair")
    assert [rule.text for rule in applied.rulebook.rules] == ["Look twice.", "Look up."]
    assert [each.reason for each in applied.rejections] == ["There is no rule 7; the list has 0."]
    assert await log.load() == applied.rulebook
    [batch] = await log.batches()
    assert (batch.base, batch.run, batch.author) == (Rulebook().version, "r", "model")
    assert (batch.evidence, batch.reason) == (("t1", "t2"), "a pair")
    assert batch.operations == applied.operations


async def test_a_retried_step_votes_once_even_with_other_operations(store: BaseStore) -> None:
    log = RulebookLog(store)
    first = await log.record(add("Look twice."), run="r", index=3, evidence=("t2", "t1"))
    again = await log.record(add("Look up."), run="r", index=3, evidence=("t1", "t2"))
    assert again.rulebook == first.rulebook
    assert again.operations == first.operations
    assert len(await log.batches()) == 1
    other = await log.record(add("Look up."), run="r", index=4, evidence=("t1", "t2"))
    assert len(other.rulebook.rules) == 2


async def test_a_batch_without_valid_operations_is_not_logged(store: BaseStore) -> None:
    log = RulebookLog(store)
    applied = await log.record([Operation(kind="AGREE", number=1)], run="r")
    assert len(applied.rejections) == 1
    assert await log.batches() == []


async def test_32_concurrent_writers_lose_nothing(store: BaseStore) -> None:
    async def write(writer: int) -> None:
        log = RulebookLog(store, clock=lambda: 1000.0 + random.Random(writer).random())
        for index in range(2):
            text = f"Writer {writer} found fact {index}."
            await log.record(
                [*add(text), *add("Everyone knows this.")], run=f"w{writer}", index=index
            )
            await log.record([Operation(kind="AGREE", number=1)], run=f"v{writer}", index=index)

    await asyncio.gather(*(write(writer) for writer in range(32)))
    log = RulebookLog(store)
    batches = await log.batches()
    book = await log.load()
    assert len(batches) == 32 * 4
    assert len({rule.text for rule in book.rules}) == 32 * 2 + 1
    votes = sum(each.kind == "AGREE" for batch in batches for each in batch.operations)
    assert votes == 32 * 2
    assert sum(rule.strength for rule in book.rules) == 2 * len(book.rules) + votes
    assert fold(reversed(batches)) == book


async def test_two_processes_on_one_file_see_each_other(tmp_path: Path) -> None:
    async with sqlite(tmp_path) as here, sqlite(tmp_path) as there:
        mine, theirs = RulebookLog(here), RulebookLog(there)
        await mine.record(add("Look twice."), run="mine")
        assert await theirs.load() == await mine.load()
        await theirs.record([Operation(kind="AGREE", number=1)], run="theirs")
        assert [rule.strength for rule in (await mine.load()).rules] == [3]


async def test_a_late_batch_is_folded_at_its_time(store: BaseStore) -> None:
    ahead = RulebookLog(store, clock=lambda: 2000.0)
    await ahead.record(add("Look twice."), run="ahead")
    await ahead.load()
    early = Batch(
        key="early",
        operations=(Operation(kind="ADD", rule="x", text="Look twice.", weight=2),),
        time=5.0,
    )
    value = early.model_dump(mode="json")
    await store.aput(("rulebook", "default", "default", "early"), "batch", value, index=False)
    book = await ahead.load()
    assert next(iter(await ahead.batches())).key == "early"
    assert [rule.id for rule in book.rules] == ["x"]
    assert list(book.merged.values()) == ["x"]


async def test_no_clock_puts_a_vote_before_its_rule(store: BaseStore) -> None:
    fast, slow = RulebookLog(store, clock=lambda: 9e9), RulebookLog(store, clock=lambda: 1.0)
    await fast.record(add("Look twice."), run="fast")
    voted = await slow.record([Operation(kind="AGREE", number=1)], run="slow")
    assert [rule.strength for rule in voted.rulebook.rules] == [3]


async def test_tenants_and_rulebooks_are_apart(store: BaseStore) -> None:
    names = [
        ("a", "b"),
        ("a", "bc"),
        ("a.b", "b"),
        ("a", "b.c"),
        ("A", "b"),
        ("a_b", "b"),
        ("axb", "b"),
    ]
    for tenant, book in names:
        await RulebookLog(store, tenant, book).record(add(f"For {tenant} {book} only."), run="r")
    for tenant, book in names:
        found = await RulebookLog(store, tenant, book).load()
        assert [rule.text for rule in found.rules] == [f"For {tenant} {book} only."]


class LooseStore(InMemoryStore):
    """A store that compares namespace prefixes as text, and so returns too much."""

    async def alist_namespaces(self, **_: Any) -> list[tuple[str, ...]]:
        return await super().alist_namespaces(limit=1_000)

    async def asearch(self, prefix: tuple[str, ...], /, **_: Any) -> list[SearchItem]:
        return await super().asearch(prefix[:1], limit=1_000)


async def test_extra_results_of_a_store_are_ignored() -> None:
    store = LooseStore()
    for index in range(70):
        await RulebookLog(store, "a").record(add("For a only."), run="r", index=index)
        await RulebookLog(store, "ab").record(
            [*add(f"Fact {index}."), *add("No.")], run="r", index=index
        )
    fresh = LooseStore()
    fresh._data = store._data
    assert [rule.text for rule in (await RulebookLog(fresh, "a").load()).rules] == ["For a only."]
    assert len((await RulebookLog(fresh, "ab").load()).rules) == 71


async def test_the_rulebook_at_any_time_and_version(store: BaseStore) -> None:
    moments = iter(range(100, 200))
    log = RulebookLog(store, clock=lambda: float(next(moments)))
    books = [Rulebook()]
    for index, name in enumerate(NUMBERS):
        given = [
            *add(f"Fact {name} is true."),
            *([Operation(kind="AGREE", number=1)] if index else []),
        ]
        books.append((await log.record(given, run="r", index=index)).rulebook)
    for count, book in enumerate(books):
        assert await log.at(99.5 + count) == book
        assert (await log.version(book.version)).rules == book.rules
    kinds = [each.kind for each in await log.diff(books[1].version, books[3].version)]
    assert kinds == ["strengthened", "added", "added"]
    with pytest.raises(BadInput, match=r"a rulebook with version 'nonsense'\. It has 8 batches"):
        await log.version("nonsense")


async def test_a_rollback_is_a_new_batch(store: BaseStore) -> None:
    log = RulebookLog(store)
    old = (await log.record(add("Look twice."), run="r", index=0)).rulebook
    new = (await log.record(add("Burn it down."), run="r", index=1)).rulebook
    back = await log.rollback(old.version, run="undo", reason="It burnt.")
    assert back.rulebook.version == old.version
    assert (await log.rollback(old.version, run="undo")).rulebook.version == old.version
    assert [batch.reason for batch in await log.batches()] == ["", "", "It burnt."]
    forth = await log.rollback(new.version, run="redo")
    assert forth.rulebook.rules == new.rules


async def test_a_rule_with_thousands_of_votes_can_be_rolled_back() -> None:
    store = InMemoryStore()
    log = RulebookLog(store)
    (rule,) = (await log.record(add("Look twice."), run="r")).rulebook.rules
    votes = [Operation(kind="AGREE", rule=rule.id, text=rule.text, weight=999)] * 3
    for index, vote in enumerate(votes, 1):
        await log.append(Batch(key=f"k{index}", operations=(vote,), run="r", index=index))
    old = await log.load()
    assert [each.strength for each in old.rules] == [2_999]
    await log.rollback(Rulebook().version, run="undo")
    await log.rollback(old.version, run="redo")
    other = InMemoryStore()  # stands for another process, which reads the whole log
    for item in await store.asearch(("rulebook",), limit=100):
        await other.aput(item.namespace, item.key, item.value)
    assert (await RulebookLog(other).load()).rules == old.rules


async def test_the_history_of_a_rule_names_its_evidence(store: BaseStore) -> None:
    log = RulebookLog(store)
    await log.record(add("Look twice."), run="r", index=0, evidence=("t1", "t2"))
    await log.record(add("Look up."), run="r", index=1, evidence=("t3",))
    edit = Operation(kind="EDIT", number=1, text="Look three times.")
    book = (await log.record([edit], run="r", index=2, evidence=("t4",))).rulebook
    events = await log.history(book.rules[0].id)
    evidence = {batch.key: batch.evidence for batch in await log.batches()}
    assert [
        (each.operation.kind, each.after and each.after.text, evidence[each.batch])
        for each in events
    ] == [
        ("ADD", "Look twice.", ("t1", "t2")),
        ("EDIT", "Look three times.", ("t4",)),
    ]


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "future": ({"schema_version": 99, "key": "k", "operations": []}, "has schema version 99"),
    "foreign": ({"hello": "world"}, "has schema version None"),
    "damaged": (
        {"schema_version": 1, "key": "k", "operations": [{"kind": "EAT"}]},
        "cannot be read",
    ),
}


@pytest.mark.parametrize(("value", "message"), BROKEN.values(), ids=BROKEN.keys())
async def test_what_cannot_be_read_is_named(
    store: BaseStore, value: dict[str, Any], message: str
) -> None:
    await store.aput(("rulebook", "default", "default", "k"), "batch", value, index=False)
    with pytest.raises(BrokenData, match=f"rulebook/default/default/k.*{message}"):
        await RulebookLog(store).load()


async def test_an_erased_log_is_empty(tmp_path: Path) -> None:
    async with sqlite(tmp_path) as store:
        log = RulebookLog(store)
        await log.record(add("Look twice."), run="r")
        [batch] = await log.batches()
        await store.adelete(("rulebook", "default", "default", batch.key), "batch")
        assert (await log.load()).rules == ()


@cache
def grown(batches: int) -> list[Batch]:
    """Return a log with four operations per batch: votes on 20 rules, and replacements."""
    log = []
    for index in range(batches):
        rules = [f"{index // 20:03}-{(index * 4 + n) % 20:02}" for n in range(4)]
        kind = "ADD" if index % 20 < 5 else ("AGREE", "EDIT", "REMOVE")[index % 3]
        weight = {"ADD": 2, "AGREE": 1, "EDIT": 1, "REMOVE": -1}[kind]
        operations = tuple(
            Operation(
                kind=kind, rule=rule, text=f"Rule {rule} of batch {index} is true.", weight=weight
            )
            for rule in rules
        )
        key = batch_key("run", index)
        log.append(Batch(key=key, operations=operations, run="run", index=index, time=float(index)))
    return log


class Watched(BaseStore):
    """A store that records its calls."""

    def __init__(self, inner: BaseStore) -> None:
        self.inner = inner
        self.seen: list[Op] = []

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        raise NotImplementedError

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        asked = list(ops)
        self.seen += asked
        return await self.inner.abatch(asked)


async def test_a_second_read_of_a_log_reads_only_new_batches(store: BaseStore) -> None:
    batches = grown(1_000)
    for start in range(0, len(batches), 500):
        await store.abatch(
            PutOp(
                ("rulebook", "default", "default", batch.key),
                "batch",
                batch.model_dump(mode="json"),
                index=False,
            )
            for batch in batches[start : start + 500]
        )
    watched = Watched(store)
    log = RulebookLog(watched)
    cold = await log.load()
    watched.seen.clear()
    assert await log.load() is cold
    assert [type(op) for op in watched.seen] == [ListNamespacesOp]
    await RulebookLog(store).record(add("Somebody else adds one."), run="elsewhere")
    watched.seen.clear()
    assert len((await log.load()).rules) == len(cold.rules) + 1
    assert [type(op) for op in watched.seen] == [ListNamespacesOp, GetOp]
    applied = await log.record(add("One more is seen at once."), run="later")
    assert [batch.run for batch in await log.batches()][-1] == "later"
    assert applied.rulebook == fold(await log.batches())
