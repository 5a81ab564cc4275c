"""How every graph is called: asynchronously, and with settings that exist."""

from __future__ import annotations

from importlib import import_module
from typing import Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph

from apprentice.graphs import episode
from apprentice.state.errors import BadInput, UnknownName
from apprentice.state.trajectory import Verdict
from tests.experts import expert_agent

EASY = {"environment": "household/north/small", "id": "test/8"}
NAMES = ("episode", "exemplar", "expel", "feedback", "insights", "reflexion", "training")


@pytest.mark.parametrize("name", NAMES)
async def test_a_call_that_cannot_be_is_a_sentence(name: str) -> None:
    graph = import_module(f"apprentice.graphs.{name}").graph
    given: Any = {}
    with pytest.raises(BadInput, match=f"'{name}' is asynchronous.*`await graph.ainvoke"):
        graph.invoke(given)
    with pytest.raises(BadInput, match=f"'{name}' is asynchronous.*`await graph.astream"):
        graph.stream(given)
    with pytest.raises(UnknownName, match=r"Unknown setting 'tennant'\. Did you mean 'tenant'"):
        await graph.ainvoke({}, context={"tennant": "mine"})
    with pytest.raises(UnknownName, match=f"Unknown input of {name} 'tasks_of_today'. Known: "):
        await graph.ainvoke({"tasks_of_today": []})


async def test_a_graph_with_settings_of_its_own_takes_an_episode_as_a_node() -> None:
    class Outer(TypedDict, total=False):
        task: Any
        verdict: Verdict

    class Foreign(TypedDict):
        tennant: str

    inner = episode.build(agent=expert_agent).compile(name="inner")
    outer = StateGraph(Outer, Foreign).add_node("inner", inner).add_edge(START, "inner").compile()
    ended = await outer.ainvoke({"task": EASY}, context={"tennant": "theirs"})
    assert ended["verdict"].success


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_keeps_what_langgraph_gave_it(name: str) -> None:
    technique = import_module(f"apprentice.graphs.{name}").build()
    plain = vars(StateGraph.compile(technique))
    compiled = vars(technique.compile())
    assert compiled.keys() - {"__orig_class__"} == plain.keys() - {"__orig_class__"}
    assert compiled["_serde_allowlist"] == plain["_serde_allowlist"] != set()
