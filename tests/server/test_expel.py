"""Rules from experience on the real server: a review, and many writers."""

from __future__ import annotations

import asyncio
from typing import Any

from langgraph_sdk.client import LangGraphClient

from apprentice.memory.namespace_labels import label
from apprentice.state.rulebook import Batch, fold
from tests.server.app import WRITERS

HOME = "household/north/small"


async def test_a_review_interrupts_a_run_and_resumes_it(client: LangGraphClient) -> None:
    on = (await client.threads.create())["thread_id"]
    settings: Any = {"tenant": "reviewed"}
    given: Any = {"environment": HOME, "tasks": 6, "held_out": 48, "review": True}
    await client.runs.wait(on, "expel", input=given, context=settings)
    state: Any = await client.threads.get_state(on)
    assert state["next"] == ["review"]
    (question,) = state["interrupts"]
    first, *others = question["value"]["changes"]
    assert first["kind"] == "added"
    assert first["evidence"]

    answer: Any = {"resume": {"changes": {first["rule"]: "reject"}}}
    wrong: Any = {"resume": {"changes": {"nobody": "reject"}}}
    await client.runs.wait(on, "expel", command=wrong, context=settings)
    state = await client.threads.get_state(on)
    assert "'nobody', which was not asked about" in state["interrupts"][0]["value"]["problem"]
    ended: Any = await client.runs.wait(on, "expel", command=answer, context=settings)
    shown = [rule["text"] for rule in ended["candidate"]["rules"]]
    assert shown == [change["after"]["text"] for change in others]
    assert ended["outcome"] in ("published", "rejected", "undecided")
    batches = await logged(client, "reviewed")
    assert [batch["author"] for batch in batches].count("person") == 1


async def test_32_writers_at_once_lose_nothing(client: LangGraphClient) -> None:
    async def write(number: int) -> Any:
        given: Any = {"environment": HOME, "tasks": 1, "held_out": 0, "run": f"writer {number}"}
        on = (await client.threads.create())["thread_id"]
        return await client.runs.wait(on, "writer", input=given, context={"tenant": "many"})

    ended = await asyncio.gather(*(write(number) for number in range(WRITERS)))
    assert [each["operations"]["applied"] for each in ended] == [1] * WRITERS
    batches = await logged(client, "many")
    assert {batch["run"] for batch in batches} == {f"writer {number}" for number in range(WRITERS)}
    book = fold([Batch.model_validate(batch) for batch in batches])
    assert len({rule.text for rule in book.rules}) == WRITERS


async def logged(client: LangGraphClient, tenant: str) -> list[Any]:
    """Return the batches of a tenant's rulebook."""
    found: Any = await client.store.search_items(("rulebook", tenant, label(HOME)), limit=1000)
    return [item["value"] for item in found["items"]]
