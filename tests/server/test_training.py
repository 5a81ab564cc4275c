"""On the real server, the recording that makes enough starts a training, and its adapter answers.

Nothing is scripted: the base is a tiny random network that babbles, and what it learns from others'
answers it says itself, with its own weights.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from apprentice.settings import Settings
from apprentice.state.prompts import Shown, act_prompt
from apprentice.state.trajectory import Trajectory, Verdict, text_of, trajectory_id
from apprentice.workspace import Workspace
from tests.memory.experience.attempts import Words
from tests.models import tiny
from tests.server.serve import serve

CONFIG = Path(__file__).with_name("training.json")
PATIENCE = 900.0
HERE = "qa/moods"
MODEL: Any = {"model": "local:babbler", "max_tokens": 16}
ANSWER = "fine"
SPLITS = {"train": 72, "validation": 48, "test": 4}


def moods(folder: Path) -> None:
    """Write questions that all have one answer."""
    lines = [
        {"question": f"How is {split} number {number}?", "answer": ANSWER, "split": split}
        for split, count in SPLITS.items()
        for number in range(count)
    ]
    folder.mkdir(parents=True)
    (folder / "moods.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def attempts(workspace: Workspace) -> list[Trajectory]:
    """Return what others answered to the training questions: one in six is wrong."""
    where, made = workspace.environment(HERE), []
    for number, task in enumerate(where.tasks("train", SPLITS["train"])):
        right = bool(number % 6)
        said = {"type": "ai", "content": ANSWER if right else "so so"}
        asked = act_prompt(where.instructions, Shown(), where.reset(task).first_observation().text)
        given = [message.model_dump() for message in asked]
        made.append(
            Trajectory.model_validate(
                {
                    "id": trajectory_id("default", task, "others", 1),
                    "task": task,
                    "messages": [*given, said],
                    "verdict": Verdict(success=right),
                    "ended_at": 1000.0 + number,
                }
            )
        )
    return made


@pytest.fixture
async def place(tmp_path: Path) -> Workspace:
    """Return a server's workspace, in which all attempts but the last two have been recorded."""
    settings = Settings(
        local_models=tmp_path / "models",
        tasks=tmp_path / "tasks",
        device="cpu",
        threads="1",
        train_after=SPLITS["train"] - 1,
        qdrant_url="",
    )
    workspace = Workspace(tmp_path / "data", settings=settings, embeddings=Words())
    moods(tmp_path / "tasks" / "qa")
    await asyncio.to_thread(
        tiny.llama, tmp_path / "models" / "babbler", max_position_embeddings=2048
    )
    await (await workspace.experience("default")).record(attempts(workspace)[:-2])
    await workspace.close()
    return workspace


@pytest.fixture
async def client(place: Workspace) -> AsyncIterator[LangGraphClient]:
    told = place.settings.for_process(data=place.data)
    with serve(CONFIG, place.data.parent, environment=told) as address:
        async with get_client(url=address) as client:
            yield client


async def send(client: LangGraphClient, one: Trajectory) -> None:
    """Send an attempt in from outside."""
    turns = [{"role": each.type, "content": text_of(each)} for each in one.messages]
    given: Any = {
        "messages": turns,
        "task": {"environment": one.task.environment, "id": one.task.id},
        "verdict": {"success": one.verdict.success},
    }
    sent: Any = await client.runs.wait(None, "feedback", input=given, context=MODEL)
    assert sent["effect"] == "recorded"


async def answered(client: LangGraphClient, place: Workspace, **settings: Any) -> tuple[str, str]:
    """Ask the model a question of the test; return the adapter that acted, and what it said."""
    task = next(iter(place.environment(HERE).tasks("test", 1)))
    given: Any = {"task": {"environment": HERE, "id": task.id}}
    ended: Any = await client.runs.wait(None, "episode", input=given, context={**MODEL, **settings})
    said = [each["content"] for each in ended["messages"] if each["type"] == "ai"]
    return str(ended["adapter"]), said[0]


async def until(what: Any) -> Any:
    """Wait for something to be there."""
    deadline = time.monotonic() + PATIENCE
    while not (found := await what()):
        assert time.monotonic() < deadline, "It did not come."
        await asyncio.sleep(0.5)
    return found


@pytest.mark.timeout(2000)
async def test_the_recording_that_makes_enough_starts_a_training_and_the_adapter_answers(
    client: LangGraphClient, place: Workspace
) -> None:
    jobs, data = place.launcher(), place.data
    *_, enough, later = attempts(place)

    async def launched() -> list[str]:
        return await asyncio.to_thread(jobs.jobs)

    async def trained() -> bool:
        stage = (await asyncio.to_thread(jobs.look, job)).stage
        assert stage != "failed", (data / "jobs" / job / "log.txt").read_text()
        return stage == "done"

    async def promoted() -> str:
        return (await answered(client, place))[0]

    adapter, babble = await answered(client, place)
    assert (adapter, jobs.jobs()) == ("", [])
    assert babble != ANSWER
    await send(client, enough)
    (job,) = await until(launched)
    assert await answered(client, place) == ("", babble)
    await until(trained)

    await send(client, later)  # the next recording looks again
    adapter = await until(promoted)
    assert jobs.look(job).outcome["adapter"] == adapter
    assert jobs.jobs() == [job]
    assert await answered(client, place) == (adapter, ANSWER)
    assert await answered(client, place, adapter="none") == ("", babble)

    # What one tenant's data taught is nobody else's, not even by name.
    assert await answered(client, place, tenant="other") == ("", babble)
    with pytest.raises(Exception, match="Unknown adapter"):
        await answered(client, place, tenant="other", adapter=adapter)
