"""Attempts and verdicts from elsewhere, through the real server with its embedded memory."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk import get_client

from tests.server.serve import ROOT, serve

MESSAGES = [
    {"role": "user", "content": "My parcel is lost."},
    {"role": "assistant", "content": "It is with your neighbour."},
]


async def test_an_agent_that_runs_elsewhere_sends_attempts_and_late_verdicts(
    tmp_path: Path,
) -> None:
    with serve(ROOT / "langgraph.json", tmp_path) as address:
        async with get_client(url=address) as client:

            async def send(**given: Any) -> Any:
                return await client.runs.wait(
                    None, "feedback", input=given, context={"tenant": "shop"}
                )

            sent = await send(messages=MESSAGES, model="helpdesk-7")
            assert sent["effect"] == "recorded"
            assert (await send(messages=MESSAGES))["id"] == sent["id"]
            verdict = {"success": True, "score": 0.8, "feedback": "Found."}
            judged = await send(trajectory=sent["id"], verdict=verdict)
            assert judged["effect"] == "judged"
            assert judged["latest"] == {**verdict, "source": "late", "interrupted": False}
            again = await asyncio.gather(
                *(send(trajectory=sent["id"], verdict=verdict) for _ in range(4))
            )
            assert {each["effect"] for each in again} == {"unchanged"}

            with pytest.raises(Exception, match="No trajectory 'nobody' is stored"):
                await send(trajectory="nobody", verdict=verdict)
            (served,) = await client.assistants.search(graph_id="feedback")
            schemas: Any = await client.assistants.get_schemas(served["assistant_id"])
            given = schemas["input_schema"]
            assert set(given["properties"]) == {
                *("messages", "trajectory", "task", "verdict", "model")
            }
            assert all(field["description"] for field in given["properties"].values())
            score = given["$defs"]["SentVerdict"]["properties"]["score"]
            assert {"minimum": 0, "maximum": 1, "type": "number"} in score["anyOf"]
    assert (tmp_path / "data" / "experience" / "shard").is_dir()
