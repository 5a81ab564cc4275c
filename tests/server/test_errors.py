"""What a caller of the real server reads when something is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient

from tests.server.failing import ERRORS

EASY = {"environment": "household/north/small", "id": "test/8"}
REMOTE = {"metadata": {"langgraph_node": "learn"}, "configurable": {"tennant": "theirs"}}


async def streamed(client: LangGraphClient, graph: str, given: Any, **more: Any) -> Any:
    """Return the last event of a run's stream."""
    parts = [part async for part in client.runs.stream(None, graph, input=given, **more)]
    return parts[-1]


@pytest.mark.parametrize("name", sorted(ERRORS))
async def test_every_error_reaches_the_caller_with_its_sentence(
    client: LangGraphClient, name: str
) -> None:
    event, data, *_ = await streamed(client, "failing", {"error": name})
    assert event == "error"
    assert data == {"error": name, "message": str(ERRORS[name])}
    with pytest.raises(Exception) as raised:  # noqa: PT011 - the SDK raises a plain Exception
        await client.runs.wait(None, "failing", input={"error": name})
    assert str(raised.value) == f"{name}: {ERRORS[name]}"
    answer: Any = await client.runs.wait(None, "failing", input={"error": name}, raise_error=False)
    assert answer["__error__"] == data


@pytest.mark.parametrize("graph", ["episode", "reflexion", "exemplar", "expel", "insights"])
async def test_a_setting_that_does_not_exist_is_refused_by_name(
    client: LangGraphClient, graph: str
) -> None:
    event, data, *_ = await streamed(client, graph, {"task": EASY}, context={"tennant": "mine"})
    assert event == "error"
    assert data["error"] == "UnknownName"
    assert data["message"].startswith("Unknown setting 'tennant'. Did you mean 'tenant'? Known: ")


async def test_an_assistants_settings_are_checked_too(client: LangGraphClient) -> None:
    assistant = await client.assistants.create("episode", context={"max_trial": 3})
    event, data, *_ = await streamed(client, assistant["assistant_id"], {"task": EASY})
    assert event == "error"
    assert "Unknown setting 'max_trial'. Did you mean 'max_trials'?" in data["message"]


async def test_a_thread_goes_on_once_the_name_is_right(client: LangGraphClient) -> None:
    on = (await client.threads.create())["thread_id"]
    with pytest.raises(Exception, match="Unknown setting 'tennant'"):
        await client.runs.wait(on, "episode", input={"task": EASY}, context={"tennant": "mine"})
    ended: Any = await client.runs.wait(
        on, "episode", input={"task": EASY}, context={"tenant": "mine"}
    )
    assert ended["verdict"]["success"] is True


async def test_the_configuration_of_a_graph_elsewhere_is_no_context(
    client: LangGraphClient,
) -> None:
    config: Any = REMOTE
    ended: Any = await client.runs.wait(None, "episode", input={"task": EASY}, config=config)
    assert ended["verdict"]["success"] is True
    config = {"configurable": REMOTE["configurable"]}
    with pytest.raises(Exception, match="Unknown setting 'tennant'"):
        await client.runs.wait(None, "episode", input={"task": EASY}, config=config)
