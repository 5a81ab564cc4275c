"""On the real server, the recording that makes enough starts a real training, and it is used."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AnyMessage, convert_to_openai_messages
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from memory.experience import opening
from nodes.training.notice import SETTING
from state.nouns import Trajectory
from tests.server.serve import serve
from tests.training.attempts import NORTH, pairs, words
from training.jobs import LocalLauncher

CONFIG = Path(__file__).with_name("training.json")
PATIENCE = 300.0


@pytest.fixture(scope="module")
def attempts() -> list[Trajectory]:
    return list(pairs(44))


@pytest.fixture
async def data(tmp_path: Path, attempts: list[Trajectory], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a server's data, in which all attempts but the last two have been recorded."""
    monkeypatch.setenv("APPRENTICE_DATA", str(tmp_path / "data"))
    await (await words("default")).record(attempts[:-2])
    await opening.close()
    return tmp_path / "data"


@pytest.fixture
async def client(
    data: Path, attempts: list[Trajectory], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LangGraphClient]:
    monkeypatch.setenv(SETTING, str(len(attempts) - 1))
    with serve(CONFIG, data.parent) as address:
        async with get_client(url=address) as client:
            yield client


async def send(client: LangGraphClient, one: Trajectory) -> None:
    """Send an attempt in from outside."""
    given = {
        "messages": openai(one.messages),
        "task": {"environment": one.task.environment, "id": one.task.id},
        "verdict": {"success": one.verdict.success},
    }
    kept: Any = await client.runs.wait(None, "feedback", input=given)
    assert kept["kept"] == "recorded"


def openai(messages: Sequence[AnyMessage]) -> Any:
    return convert_to_openai_messages(list(messages))


async def adapter_of(client: LangGraphClient) -> str:
    """Let the model attempt a task, and return the adapter that acted."""
    task = {"environment": NORTH, "id": "test/0"}
    ended: Any = await client.runs.wait(None, "episode", input={"task": task})
    return str(ended["adapter"])


async def until(what: Any) -> Any:
    """Wait for something to be there."""
    deadline = time.monotonic() + PATIENCE
    while not (found := await what()):
        assert time.monotonic() < deadline, "It did not come."
        await asyncio.sleep(0.5)
    return found


@pytest.mark.timeout(400)
async def test_the_recording_that_makes_enough_starts_a_training_and_the_adapter_acts(
    client: LangGraphClient, data: Path, attempts: list[Trajectory]
) -> None:
    jobs = LocalLauncher(data / "jobs")

    async def launched() -> list[str]:
        return await asyncio.to_thread(jobs.jobs)

    async def trained() -> bool:
        stage = (await asyncio.to_thread(jobs.look, job)).stage
        assert stage != "failed", (data / "jobs" / job / "log.txt").read_text()
        return stage == "done"

    assert await adapter_of(client) == ""
    assert jobs.jobs() == []
    await send(client, attempts[-2])
    (job,) = await until(launched)
    assert await adapter_of(client) == ""
    await until(trained)

    await send(client, attempts[-1])  # the next recording looks again
    adapter = await until(lambda: adapter_of(client))
    assert jobs.look(job).outcome["adapter"] == adapter
    assert jobs.jobs() == [job]
