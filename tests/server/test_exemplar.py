"""Examples from experience on the real server, with the real embeddings."""

from __future__ import annotations

from typing import Any

from langgraph_sdk.client import LangGraphClient

HOME = "household/north/small"


async def test_what_one_run_solved_the_next_is_shown(client: LangGraphClient) -> None:
    settings: dict[str, Any] = {
        "tenant": "shown",
        "exemplars": 3,
        "adapt": True,
        "similar_steps": 1,
    }
    solved = [await attempt(client, f"train/{number}", settings) for number in (1, 8)]
    parts = await stream(client, "test/3", settings)
    nodes = [next(iter(data)) for event, data in parts if event == "updates"]
    told = [data for event, data in parts if event.partition("|")[0] == "custom"]
    kinds = [event["type"].removeprefix("exemplar.") for event in told]
    assert nodes == ["recall", "adapt", "attempt", "judge", "record"]
    assert [kind for kind in kinds if kind not in ("similar_steps", "episode.step")] == [
        "recalled",
        "adapted",
        "attempt",
        "recorded",
    ]
    assert "similar_steps" in kinds
    shown = {each["trajectory"] for each in told[0]["recollections"]}
    assert shown == {ended["attempts"][0]["id"] for ended in solved}
    again = await attempt(client, "train/1", settings)
    assert shown - {each["trajectory"] for each in again["recollections"]} == {
        solved[0]["attempts"][0]["id"]  # never the task's own
    }


async def test_a_caller_names_a_set_and_nothing_else(client: LangGraphClient) -> None:
    settings = {"recall": "fixed", "exemplar_set": "../../secrets"}
    (*_, (event, data)) = await stream(client, "test/3", settings)
    assert event == "error"
    assert "Unknown fixed set of exemplars '../../secrets'" in data["message"]


async def attempt(client: LangGraphClient, name: str, settings: Any) -> Any:
    on = (await client.threads.create())["thread_id"]
    given = {"task": {"environment": HOME, "id": name}}
    return await client.runs.wait(on, "exemplar", input=given, context=settings)


async def stream(client: LangGraphClient, name: str, settings: Any) -> list[tuple[str, Any]]:
    on = (await client.threads.create())["thread_id"]
    given = {"task": {"environment": HOME, "id": name}}
    parts = client.runs.stream(
        on,
        "exemplar",
        input=given,
        context=settings,
        stream_mode=["custom", "updates"],
        stream_subgraphs=True,
    )
    return [(part.event, part.data) async for part in parts]
