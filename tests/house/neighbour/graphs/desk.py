"""START -> receive -> learn -> file -> END, where `learn` is Apprentice's reflexion."""

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from apprentice import build_reflexion
from memory.shelf import file
from models import LIMIT, agent
from nodes.receive import receive
from state.desk import Desk, DeskInput
from training.lessons import judge, reflector


def build() -> CompiledStateGraph[Desk, None, DeskInput, Desk]:
    """Wire the desk."""
    learn = build_reflexion(agent=agent, judge=judge, reflector=reflector).compile(name="reflexion")
    return (
        StateGraph(Desk, input_schema=DeskInput)
        .add_node(receive)
        .add_node("learn", learn.with_config({"recursion_limit": LIMIT}))
        .add_node(file)
        .add_edge(START, "receive")
        .add_edge("receive", "learn")
        .add_edge("learn", "file")
        .add_edge("file", END)
        .compile(name="desk")
    )


graph = build()
