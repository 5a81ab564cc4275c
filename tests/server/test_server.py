"""The graphs on the real LangGraph server, used as anybody would: SDK and RemoteGraph."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from tests.server.app import COMPANIONS
from tests.server.serve import ROOT, serve

EASY = {"environment": "household/north/small", "id": "test/8"}
REMOTE = """
import asyncio, json, sys
from langgraph.graph import START, StateGraph
from langgraph.pregel.remote import RemoteGraph
from typing import Any
from typing_extensions import TypedDict

class State(TypedDict, total=False):
    task: dict[str, Any]
    verdict: dict[str, Any]
    outcome: str

remote = RemoteGraph("reflexion", url=sys.argv[1])
outer = StateGraph(State).add_node("learn", remote).add_edge(START, "learn").compile()
print(json.dumps(asyncio.run(outer.ainvoke({"task": json.loads(sys.argv[2])}))))
"""


async def thread(client: LangGraphClient) -> str:
    return str((await client.threads.create())["thread_id"])


async def stream(client: LangGraphClient, on: str, graph: str, given: Any, **more: Any) -> Any:
    modes: Any = ["custom", "updates"]
    parts = client.runs.stream(on, graph, input=given, stream_mode=modes, **more)
    return [(part.event, part.data) async for part in parts]


async def test_an_episode_is_streamed_and_every_step_is_kept(client: LangGraphClient) -> None:
    on = await thread(client)
    parts = await stream(client, on, "episode", {"task": EASY})
    steps = [data for event, data in parts if event == "custom"]
    nodes = [next(iter(data)) for event, data in parts if event == "updates"]
    recorded = steps.pop()
    assert recorded["type"] == "episode.recorded"
    assert {step["type"] for step in steps} == {"episode.step"}
    assert nodes == ["begin", *["act", "step"] * len(steps), "record"]
    state: Any = await client.threads.get_state(on)
    assert state["values"]["verdict"]["success"] is True
    assert state["values"]["steps"] == len(steps)
    assert recorded["trajectories"] == [state["values"]["trajectory"]]
    history: Any = await client.threads.get_history(on, limit=100)
    kept = [snapshot["values"].get("steps") for snapshot in history if snapshot["next"] == ["act"]]
    assert sorted(kept) == list(range(len(steps)))


async def test_reflexion_learns_and_remembers(client: LangGraphClient) -> None:
    settings: Any = {"tenant": "learner", "max_trials": 4}
    task, told = await hard_task(client)
    kinds = [event["type"] for event in told if event["type"] != "episode.step"]
    assert kinds[:3] == ["reflexion.trial", "reflexion.reflection", "reflexion.trial"]
    assert told[-1] == {
        "type": "reflexion.done",
        "task": task["id"],
        "outcome": "solved",
        "trials": kinds.count("reflexion.trial"),
    }
    on = await thread(client)
    again: Any = await client.runs.wait(on, "reflexion", input={"task": task}, context=settings)
    assert (again["outcome"], again["trials"]) == ("solved_before", 0)
    assert len(again["reflections"]) == kinds.count("reflexion.reflection")


async def hard_task(client: LangGraphClient) -> tuple[dict[str, str], list[Any]]:
    """Return a task that took more than one trial, and what was streamed meanwhile."""
    for number in range(12):
        task = {"environment": "household/north/full", "id": f"test/{number}"}
        settings = {"tenant": "learner", "max_trials": 4}
        parts = await stream(
            client, await thread(client), "reflexion", {"task": task}, context=settings
        )
        told = [data for event, data in parts if event == "custom"]
        if told[-1]["outcome"] == "solved" and told[-1]["trials"] > 1:
            return task, told
    raise AssertionError("The expert solves all of 12 tasks at once.")


async def test_the_log_warns_of_no_class_in_a_checkpoint(
    client: LangGraphClient, folder: Path
) -> None:
    on = await thread(client)
    for _ in range(2):  # the second run reads the checkpoints of the first
        given = {"task": EASY | {"id": "test/4"}}
        result: Any = await client.runs.wait(on, "reflexion", input=given)
        assert result["task"]["id"] == "test/4"
    assert await client.threads.get_history(on)
    log = (folder / "server.log").read_text()
    assert "reflexion" in log
    assert "unregistered type" not in log
    assert "Blocked deserialization" not in log


async def test_an_earlier_step_can_be_gone_back_to(client: LangGraphClient) -> None:
    on = await thread(client)
    ended: Any = await client.runs.wait(on, "episode", input={"task": EASY})
    history: Any = await client.threads.get_history(on, limit=100)
    (first,) = (s for s in history if s["next"] == ["step"] and s["values"]["steps"] == 0)
    turn = {**first["values"]["messages"][-1], "content": "inventory"}
    fork: Any = await client.threads.update_state(
        on, {"messages": [turn]}, as_node="act", checkpoint_id=first["checkpoint"]["checkpoint_id"]
    )
    forked: Any = await client.runs.wait(
        on, "episode", input=None, checkpoint_id=fork["checkpoint"]["checkpoint_id"]
    )
    assert "not carrying anything" in forked["messages"][3]["content"]
    assert forked["messages"][:2] == ended["messages"][:2]
    assert forked["verdict"]["success"] is True
    assert forked["trajectory"] != ended["trajectory"]


async def test_runs_at_once_do_not_wait_for_each_other(client: LangGraphClient) -> None:
    async def one(number: int) -> Any:
        task = {"environment": "household/south/small", "id": f"test/{number}"}
        return await client.runs.wait(await thread(client), "company", input={"task": task})

    ended = await asyncio.gather(*(one(number) for number in range(COMPANIONS)))
    assert [each["verdict"]["success"] for each in ended] == [True] * COMPANIONS


@pytest.mark.parametrize(
    ("given", "settings", "says"),
    [
        ({"task": {"environment": "nowhere", "id": "x"}}, {}, "Unknown environment 'nowhere'"),
        ({"task": {**EASY, "id": "x"}}, {}, "no household task 'x'"),
        ({"task": {"id": "x"}}, {}, "'task.environment' cannot be read"),
        ({"task": EASY}, {"max_trials": 0}, "'max_trials' is 0, but must lie between 1 and 100"),
        ({"task": EASY}, {"strategy": "hope"}, "Unknown strategy 'hope'"),
    ],
)
@pytest.mark.parametrize("graph", ["episode", "reflexion"])
async def test_bad_input_is_a_sentence(
    client: LangGraphClient, graph: str, given: Any, settings: Any, says: str
) -> None:
    on = await thread(client)
    parts = await stream(client, on, graph, given, context=settings)
    event, data = parts[-1]
    assert event == "error"
    assert says in data["message"]


async def test_another_process_uses_it_as_a_part_of_its_own_graph(address: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", REMOTE, address, json.dumps(EASY)),
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    out, _ = await process.communicate()
    ended = json.loads(out)
    assert ended["outcome"] in {"solved", "solved_before"}
    assert ended["verdict"]["success"] is True


async def test_what_was_learned_outlives_a_killed_server(tmp_path: Path) -> None:
    config = Path(__file__).with_name("langgraph.json")
    outcomes = []
    for _ in range(2):
        with serve(config, tmp_path, signal.SIGKILL) as address:
            async with get_client(url=address) as client:
                on = await thread(client)
                ended: Any = await client.runs.wait(on, "reflexion", input={"task": EASY})
                outcomes.append(ended["outcome"])
    assert outcomes == ["solved", "solved_before"]


async def test_the_shipped_configuration_serves_forms(tmp_path: Path) -> None:
    with serve(ROOT / "langgraph.json", tmp_path) as address:
        async with get_client(url=address) as client:
            # The server also remembers the assistants of other configurations.
            served = {a["graph_id"]: a for a in await client.assistants.search(limit=100)}
            schemas: Any = {
                name: await client.assistants.get_schemas(served[name]["assistant_id"])
                for name in json.loads((ROOT / "langgraph.json").read_text())["graphs"]
            }
    needed = {"episode": ["task"], "exemplar": ["task"], "reflexion": ["task"]}
    needed |= {"expel": ["environment"], "insights": ["reports"], "feedback": []}
    needed |= {"training": ["environment"]}
    assert set(needed) <= set(schemas)
    for name, schema in schemas.items():
        context, given = schema["context_schema"], schema["input_schema"]
        assert given.get("required", []) == needed[name]
        assert all(field["description"] for field in given["properties"].values())
        assert all(
            field["title"] and field["description"] for field in context["properties"].values()
        )
        assert context["properties"]["max_trials"]["maximum"] == 100
        assert "reflection" in context["properties"]["strategy"]["enum"]
        assert "hybrid" in context["properties"]["recall"]["enum"]
    assert (tmp_path / "data" / "store.sqlite").exists()
