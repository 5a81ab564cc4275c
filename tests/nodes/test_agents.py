"""Anything that turns messages into a turn can act."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, MessagesState, StateGraph

from apprentice.environments.advance import TURN_CHARACTERS
from apprentice.nodes.agents import Agent, ask
from apprentice.state.context import Context
from apprentice.state.errors import ModelFailure
from apprentice.testing import Scripted
from apprentice.workspace import Workspace

ASKED = [HumanMessage("Where are you?", id="asked")]


async def _async_function(messages: list[AnyMessage]) -> AIMessage:
    return AIMessage("look")


def _function(messages: list[AnyMessage]) -> str:
    return "look"


def _chunk(messages: list[AnyMessage]) -> AIMessageChunk:
    return AIMessageChunk(content="look")


def _conversation(messages: list[AnyMessage]) -> dict[str, Any]:
    return {"messages": [*messages, AIMessage("think first"), AIMessage("look")]}


def _json(messages: list[AnyMessage]) -> dict[str, Any]:
    given = {"type": "human", "content": "Where are you?", "id": "asked"}
    return {"messages": [given, {"type": "ai", "content": "look"}]}


def _graph() -> Agent:
    def speak(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(f"look, after {len(state['messages'])}")]}

    return StateGraph(MessagesState).add_node(speak).add_edge(START, "speak").compile()


@pytest.mark.parametrize(
    ("agent", "says", "calls"),
    [
        (Scripted(["look"]), "look", 1),
        (RunnableLambda(_function), "look", 1),
        (RunnableLambda(_chunk), "look", 1),
        (_function, "look", 1),
        (_async_function, "look", 1),
        (_conversation, "look", 2),
        (_json, "look", 1),
        (_graph(), "look, after 1", 1),
    ],
)
async def test_every_kind_of_agent_takes_its_turn(agent: Agent, says: str, calls: int) -> None:
    reply = await ask(agent, ASKED, Context(), Workspace())
    assert type(reply.message) is AIMessage
    assert reply.message.text == says
    assert reply.usage.calls == calls


async def test_tokens_are_counted() -> None:
    reply = await ask(Scripted(["go to desk 1"]), ASKED, Context(), Workspace())
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (3, 4)


async def test_an_endless_turn_is_cut() -> None:
    reply = await ask(Scripted(["word " * 10_000]), ASKED, Context(), Workspace())
    assert len(reply.message.text) == TURN_CHARACTERS


async def test_a_long_thought_does_not_swallow_its_command() -> None:
    thought = f"<think>{'hm ' * TURN_CHARACTERS}</think>go to desk 1"
    reply = await ask(Scripted([thought]), ASKED, Context(), Workspace())
    assert reply.message.text == "go to desk 1"


@pytest.mark.parametrize("answer", [None, 7, HumanMessage("hello"), {"messages": ASKED}])
async def test_an_answer_without_a_turn_is_refused(answer: Any) -> None:
    def agent(messages: Sequence[AnyMessage]) -> Any:
        return answer

    with pytest.raises(ModelFailure, match="contains no AI message"):
        await ask(agent, ASKED, Context(), Workspace())
