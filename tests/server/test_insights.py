"""People steer insights through the real server: the SDK's interrupt, resume and refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient

from tests.graphs.analyst import REPORTS, SAYS


async def start(client: LangGraphClient, given: Any, **context: Any) -> tuple[str, Any]:
    """Run up to the review; return the thread and what a person is shown."""
    on = str((await client.threads.create())["thread_id"])
    await client.runs.wait(on, "insights", input=given, context=context)
    return on, await shown(client, on)


async def shown(client: LangGraphClient, on: str) -> Any:
    """What waits for an answer on a thread."""
    state: Any = await client.threads.get_state(on)
    [task] = state["tasks"]
    return task["interrupts"][0]["value"]


async def answered(client: LangGraphClient, on: str, answer: Any, **context: Any) -> Any:
    command: Any = {"resume": answer}
    return await client.runs.wait(on, "insights", command=command, context=context)


def named(asked: Any, text: str) -> str:
    [found] = [each["id"] for each in asked["insights"] if each["text"] == text]
    return str(found)


async def test_a_person_steers_what_is_tried_next(client: LangGraphClient) -> None:
    on, asked = await start(client, {"reports": REPORTS}, tenant="steering")
    assert [each["standing"] for each in asked["insights"]] == ["promoted"] * 2 + ["demoted"] * 3
    changes = [
        {"action": "demote", "insight": named(asked, SAYS["newsletters"])},
        {"action": "remove", "insight": named(asked, SAYS["order"])},
        {"action": "promote", "insight": named(asked, SAYS["carts"])},
        {"action": "add", "text": "Regulars buy on Sundays."},
    ]
    bad = [*changes, {"action": "promote", "insight": "nobody"}]
    await answered(client, on, {"changes": bad}, tenant="steering")
    again = await shown(client, on)
    assert "no insight 'nobody'" in again["problems"][0]
    assert again["insights"] == asked["insights"]

    ended = await answered(client, on, {"changes": changes, "reason": "Season."}, tenant="steering")
    assert ended["outcome"] == "proposed"
    assert ended["experiment"]["text"].endswith(SAYS["carts"])
    assert {each["text"]: each["standing"] for each in ended["insights"]} == {
        SAYS["carts"]: "promoted",
        "Regulars buy on Sundays.": "open",
        SAYS["newsletters"]: "demoted",
        SAYS["order"]: "retired",
        SAYS["sign-ups"]: "demoted",
        SAYS["Visits"]: "demoted",
    }


async def test_a_later_run_knows_the_insights_and_a_retired_one_is_revived(
    client: LangGraphClient,
) -> None:
    on, asked = await start(client, {"reports": REPORTS[:2]}, tenant="later")
    gone = {"action": "remove", "insight": named(asked, SAYS["newsletters"])}
    ended = await answered(client, on, {"changes": [gone]}, tenant="later")
    assert (ended["outcome"], ended["experiment"]) == ("nothing_promoted", None)
    later, known = await start(client, {"reports": []}, tenant="later")
    back = {"action": "promote", "insight": named(known, SAYS["newsletters"])}
    revived = await answered(client, later, {"changes": [back]}, tenant="later")
    assert revived["outcome"] == "proposed"
    assert revived["experiment"]["text"].endswith(SAYS["newsletters"])


async def test_progress_comes_while_it_runs(client: LangGraphClient) -> None:
    on = str((await client.threads.create())["thread_id"])
    given: Any = {"reports": REPORTS, "review": False}
    settings: Any = {"tenant": "progress"}
    parts = client.runs.stream(on, "insights", input=given, context=settings, stream_mode="custom")
    told = [part.data["type"] async for part in parts if part.event == "custom"]
    assert told == [*["insights.drawn", "insights.weighed"] * 5, "insights.done"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"reports": [{"text": "Up."}]}, "'reports.0.hit_target' cannot be read"),
        ({"reports": [{"text": "Up.", "hit_target": True, "model": "x"}]}, "'reports.0.model'"),
        ({}, "No reports were given"),
    ],
)
async def test_bad_reports_are_a_sentence(client: LangGraphClient, given: Any, says: str) -> None:
    on = str((await client.threads.create())["thread_id"])
    parts = [
        part async for part in client.runs.stream(on, "insights", input=given, stream_mode="custom")
    ]
    assert parts[-1].event == "error"
    assert says in parts[-1].data["message"]


async def test_the_form_has_titles_and_bounds(client: LangGraphClient) -> None:
    [assistant] = await client.assistants.search(graph_id="insights")
    schemas: Any = await client.assistants.get_schemas(assistant["assistant_id"])
    fields = schemas["input_schema"]["properties"]
    assert fields["reports"]["maxItems"] == 200
    assert all(field["title"] and field["description"] for field in fields.values())
    assert '"maxLength": 4000' in json.dumps(schemas["input_schema"])
    assert set(schemas["output_schema"]["properties"]) >= {"experiment", "insights", "quarantined"}
