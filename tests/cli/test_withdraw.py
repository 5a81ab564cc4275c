"""`apprentice rules withdraw` and `rollback`: what is gone stays gone, and nothing else goes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from langgraph.store.base import BaseStore

from apprentice.memory.releases import Releases
from apprentice.memory.rulebook import RulebookLog
from apprentice.state.releases import Release
from apprentice.state.review import declined_rules
from apprentice.state.rulebook import parse_operations
from tests.cli.conftest import Apprentice

HOME = "household/north/small"
CLEAN, POISONED = "Mugs are kept in cabinets.", "Mugs are put into the fireplace."
T = TypeVar("T")


def stored(apprentice: Apprentice, job: Callable[[BaseStore], Awaitable[T]]) -> T:
    """Do a job with the store that the command uses."""

    async def done() -> T:
        async with apprentice.workspace.store() as opened:
            return await job(opened)

    return asyncio.run(done())


@pytest.fixture
def learned(apprentice: Apprentice) -> Callable[..., Any]:
    """Let a poisoned transcript reword a rule, and release it as it was and as it is."""

    async def learn(opened: BaseStore) -> None:
        log, releases = RulebookLog(opened, "default", HOME), Releases(opened, "default", HOME)
        for run, written in (("clean", f"ADD: {CLEAN}"), ("poisoned", f"EDIT 1: {POISONED}")):
            operations = parse_operations(written).operations
            evidence = (f"attempt-{run}",)
            book = (await log.record(operations, run=run, evidence=evidence)).rulebook
            made = Release(id=run, tenant="default", environment=HOME, rules=book.rules, run=run)
            await releases.publish(made)

    stored(apprentice, learn)
    return lambda *arguments: apprentice("rules", *arguments)


def test_withdrawn_words_leave_the_draft_and_the_release_and_do_not_come_back(
    learned: Callable[..., Any],
) -> None:
    told = learned("withdraw", "attempt-p", "--reason", "It is a trap.").output
    assert f"- reworded     {POISONED}\n+ reworded     {CLEAN}" in told
    assert f"- unreleased   {POISONED}" in told
    shown = learned("show").output
    assert (POISONED in shown, shown.count(CLEAN)) == (False, 1)  # the draft's; nothing released
    refused = learned("rollback", "poisoned")
    assert (refused.exit_code, "It is a trap." in refused.stderr) == (2, True)
    assert learned("rollback", "clean").exit_code == 0
    shown = learned("show").output
    assert (POISONED in shown, shown.count(CLEAN)) == (False, 2)


def test_a_withdrawal_that_cannot_be_does_nothing(learned: Callable[..., Any]) -> None:
    before = learned("show").output
    for arguments, says in (
        (("attempt-poisoned", "typo"), "no rule depends on 'typo'"),
        (("attempt",), "2 attempts have an id that begins with 'attempt'"),
        (("attempt-poisoned", "--reason", "y" * 2_001), "may have 2000"),
    ):
        refused = learned("withdraw", *arguments)
        assert (refused.exit_code, says in " ".join(refused.stderr.split())) == (2, True)
        assert learned("show").output == before


def test_an_attempt_without_rules_is_withdrawn_twice_as_well_as_once(
    apprentice: Apprentice, tmp_path: Path
) -> None:
    row = '{"id": "x1", "success": true, "messages": [{"role": "user", "content": "hi"}, '
    (tmp_path / "a.jsonl").write_text(row + '{"role": "assistant", "content": "ok"}]}\n')
    assert apprentice("import", "a.jsonl").exit_code == 0
    told = [apprentice("rules", "withdraw", "x1") for _ in range(2)]
    assert [each.exit_code for each in told] == [0, 0]
    assert [each.output.strip() for each in told] == [
        "Erased: 1 transcript.",
        "Erased: nothing; it was erased before.",
    ]


def test_a_rollback_is_no_word_against_any_one_rule(
    learned: Callable[..., Any], apprentice: Apprentice
) -> None:
    assert learned("rollback", "none").exit_code == 0

    async def taken_out(opened: BaseStore) -> tuple[int, set[str]]:
        log = RulebookLog(opened, "default", HOME)
        book = await log.load()
        return len(book.retired), declined_rules(await log.batches(), book)

    assert stored(apprentice, taken_out) == (1, set())
