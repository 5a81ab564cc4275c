"""Nothing is lost when a process dies, and any moment can be gone back to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver

from apprentice.graphs import episode
from apprentice.state.trajectory import Task, text_of, transcript
from tests.experts import expert_agent
from tests.graphs.analyst import REPORTS
from tests.graphs.insights_survivor import main as draw
from tests.graphs.survivor import main as survive

ROOT = Path(__file__).parents[2]
THREAD: RunnableConfig = {"configurable": {"thread_id": "one"}}


def survivor(name: str, file: Path, task: Task, pause: float) -> subprocess.Popen[str]:
    given = (name, str(file), task.environment, task.id, str(pause))
    return started("tests.graphs.survivor", *given)


def started(module: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, "LANGGRAPH_STRICT_MSGPACK": "true", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_after(process: subprocess.Popen[str], kind: str, times: int) -> list[Any]:
    """Kill a survivor as soon as it has reported so many events of a kind."""
    assert process.stdout is not None
    events = []
    for line in process.stdout:
        events.append(json.loads(line))
        if sum(event.get("type") == kind for event in events) == times:
            process.kill()
            break
    process.wait()
    process.communicate()
    assert process.returncode == -9
    return events


def finish(process: subprocess.Popen[str]) -> tuple[list[Any], Any]:
    """Let a survivor finish; strict deserialisation must not have anything to say."""
    out, err = process.communicate(timeout=1000)
    assert (process.returncode, err) == (0, "")
    *events, last = (json.loads(line) for line in out.splitlines())
    return events, last["result"]


@pytest.mark.parametrize("steps", [1, 4])
async def test_an_episode_goes_on_between_steps(steps: int, tmp_path: Path, hard: Task) -> None:
    whole = await survive("episode", str(tmp_path / "whole"), hard, 0)
    before = kill_after(survivor("episode", tmp_path / "cut", hard, 0.3), "episode.step", steps)
    after, resumed = finish(survivor("episode", tmp_path / "cut", hard, 0))
    assert resumed == whole
    done = [event["steps"] for event in (*before, *after)]
    # A step whose checkpoint was not yet written is taken again, to the same effect.
    assert sorted(set(done)) == list(range(1, done[-1] + 1))
    assert len(done) <= done[-1] + 1


async def test_reflexion_keeps_finished_attempts(tmp_path: Path, hard: Task) -> None:
    whole = await survive("reflexion", str(tmp_path / "whole"), hard, 0)
    kill_after(survivor("reflexion", tmp_path / "cut", hard, 0.1), "reflexion.reflection", 1)
    after, resumed = finish(survivor("reflexion", tmp_path / "cut", hard, 0))
    assert resumed["attempts"] == whole["attempts"]
    assert resumed["reflections"] == whole["reflections"]
    assert resumed["outcome"] == whole["outcome"] == "solved"
    assert len(set(resumed["ids"])) == len(resumed["attempts"]) >= 2
    judged = [event["trial"] for event in after if event["type"] == "reflexion.trial"]
    assert judged == list(range(2, len(resumed["attempts"]) + 1))


async def test_an_episode_forks_from_an_earlier_checkpoint(hard: Task) -> None:
    graph = episode.build(agent=expert_agent).compile(checkpointer=InMemorySaver())
    ended = await graph.ainvoke({"task": hard}, THREAD)
    history = [snapshot async for snapshot in graph.aget_state_history(THREAD)]
    (third,) = (s for s in history if s.next == ("step",) and s.values["steps"] == 2)

    repeated = await graph.ainvoke(None, third.config)
    assert transcript(repeated["messages"]) == transcript(ended["messages"])

    turn = third.values["messages"][-1]
    other = AIMessage("inventory", id=turn.id)
    fork = await graph.aupdate_state(third.config, {"messages": [other]}, as_node="act")
    forked = await graph.ainvoke(None, fork)
    shared = len(third.values["messages"]) - 1
    assert forked["messages"][:shared] == ended["messages"][:shared]
    assert text_of(forked["messages"][shared]) == "inventory"
    assert "not carrying anything" in text_of(forked["messages"][shared + 1])
    assert forked["verdict"].success is not None


@pytest.mark.parametrize(
    ("event", "times"),
    [
        ("weighed", 3),
        pytest.param("drawn", 1, marks=pytest.mark.soak),
        pytest.param("drawn", 4, marks=pytest.mark.soak),
        pytest.param("weighed", 5, marks=pytest.mark.soak),
        pytest.param("done", 1, marks=pytest.mark.soak),
    ],
)
async def test_insights_are_weighed_once_whenever_the_process_dies(
    event: str, times: int, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    expected = await draw(whole, 0)
    kill_after(insights_survivor(cut, 0.1), f"insights.{event}", times)
    after, resumed = finish(insights_survivor(cut, 0))
    assert resumed == expected
    assert len(resumed["batches"]) == 2 * len(REPORTS)
    drawn = [told["report"] for told in after if told["type"] == "insights.drawn"]
    assert all(number >= times for number in drawn)


@pytest.mark.parametrize(
    ("event", "times"),
    [
        ("insights.amended", 1),
        *(pytest.param("asked", times, marks=pytest.mark.soak) for times in range(1, 7)),
        pytest.param("answering", 1, marks=pytest.mark.soak),
        pytest.param("insights.done", 1, marks=pytest.mark.soak),
    ],
)
async def test_a_persons_changes_are_made_once_whenever_the_process_dies(
    event: str, times: int, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    expected = await draw(whole, 0, review=True)
    kill_after(insights_survivor(cut, 0.1, "review"), event, times)
    _, resumed = finish(insights_survivor(cut, 0, "review"))
    assert resumed == expected
    assert [author for author, _ in resumed["batches"]].count("person") == 1
    assert ["Regulars buy on Sundays.", 2] in resumed["insights"]


def insights_survivor(folder: Path, pause: float, *options: str) -> subprocess.Popen[str]:
    return started("tests.graphs.insights_survivor", str(folder), str(pause), *options)
