"""The context names the model: what it is asked with, how its calls are traced, how it fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import ModelAuthenticationError, ModelRateLimitError
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver

from apprentice.graphs import episode, reflexion
from apprentice.state.context import Context
from apprentice.state.errors import BadInput, MissingPart, ModelFailure, ModelUnavailable
from apprentice.state.trajectory import Task
from apprentice.testing import Scripted
from apprentice.workspace import Workspace
from tests.experts import expert_agent

Asked = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def serve(tmp_path: Path) -> Callable[[Any], tuple[Workspace, Asked]]:
    """Return a workspace with a scripted model for every name, and what is asked for."""

    def serve(turns: Any) -> tuple[Workspace, Asked]:
        asked: Asked = []

        def chat(name: str, **settings: Any) -> Scripted:
            asked.append((name, settings))
            return Scripted(turns)

        return Workspace(tmp_path, model="local:novice", chat_models=chat), asked

    return serve


class Tracer(BaseCallbackHandler):
    """Keeps the labels of every model call."""

    def __init__(self) -> None:
        self.labels: list[tuple[set[str], dict[str, Any]]] = []

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.labels.append((set(tags or ()), metadata or {}))


async def test_the_context_says_which_model_and_how(
    easy: Task, serve: Callable[[Any], tuple[Workspace, Asked]]
) -> None:
    workspace, asked = serve(lambda _: "look")
    settings = Context(
        model="openai:gpt-5-mini", temperature=1, max_tokens=64, seed=7, max_trials=2
    )
    ended = (
        await reflexion.build(workspace=workspace)
        .compile()
        .ainvoke({"task": easy}, context=settings)
    )
    assert {name for name, _ in asked} == {"openai:gpt-5-mini"}
    first, reflecting, second = asked[0][1], asked[3][1], asked[4][1]
    assert first == {"adapter": "", "temperature": 1, "max_tokens": 64, "seed": 7}
    assert reflecting == first
    # A sampled retry that repeats the seed would repeat the attempt.
    assert second == {**first, "seed": 8}
    assert [attempt.model for attempt in ended["attempts"]] == ["openai:gpt-5-mini"] * 2


async def test_calls_are_labelled_with_graph_environment_and_model(
    easy: Task, serve: Callable[[Any], tuple[Workspace, Asked]]
) -> None:
    workspace, _ = serve(lambda _: "look")
    tracer = Tracer()
    config: RunnableConfig = {"callbacks": [tracer]}
    await (
        reflexion.build(workspace=workspace)
        .compile()
        .ainvoke({"task": easy}, config, context=Context(max_trials=2))
    )
    graphs = [metadata["graph"] for _, metadata in tracer.labels]
    assert graphs == [*["episode"] * 3, "reflexion", *["episode"] * 3]
    for tags, metadata in tracer.labels:
        assert {f"environment:{easy.environment}", "model:local:novice"} <= tags
        assert metadata["environment"] == easy.environment
        assert metadata["model"] == "local:novice"


async def test_a_provider_that_is_busy_is_asked_again_and_nothing_is_lost(
    easy: Task, serve: Callable[[Any], tuple[Workspace, Asked]]
) -> None:
    busy = 3

    def turns(messages: list[Any]) -> str:
        nonlocal busy
        if len(messages) >= 4 and busy:
            busy -= 1
            raise ModelRateLimitError("429: slow down")
        return expert_agent(messages)

    workspace, _ = serve(turns)
    thread: RunnableConfig = {"configurable": {"thread_id": "one"}}
    graph = episode.build(workspace=workspace).compile(checkpointer=InMemorySaver())
    with pytest.raises(ModelUnavailable, match=r"'local:novice' did not answer \(429: slow down\)"):
        await graph.ainvoke({"task": easy}, thread)
    assert (await graph.aget_state(thread)).values["steps"] == 1
    ended = await graph.ainvoke(None, thread)
    assert ended["verdict"].success
    assert ended["usage"].calls == ended["steps"]


async def test_a_provider_that_refuses_is_not_asked_again(
    easy: Task, serve: Callable[[Any], tuple[Workspace, Asked]]
) -> None:
    def turns(messages: list[Any]) -> str:
        raise ModelAuthenticationError("401: no such key")

    workspace, asked = serve(turns)
    with pytest.raises(ModelFailure, match="refused to answer"):
        await episode.build(workspace=workspace).compile().ainvoke({"task": easy})
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("model", "error"), [("gpt", BadInput), ("nobody:gpt", BadInput), ("local:../x", BadInput)]
)
async def test_a_model_that_does_not_exist_is_a_sentence(
    model: str, error: type[Exception], easy: Task
) -> None:
    with pytest.raises(error, match=r".*\."):
        await episode.graph.ainvoke({"task": easy}, context=Context(model=model))


async def test_where_nobody_names_a_model_a_sentence_says_how(
    easy: Task, workspace: Workspace
) -> None:
    with pytest.raises(MissingPart, match=r"Set APPRENTICE_MODEL.*--model.*local:novice"):
        await episode.build(workspace=workspace).compile().ainvoke({"task": easy})


async def test_the_model_of_the_workspace_acts_and_is_recorded_by_its_name(
    easy: Task, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path, model=Scripted(lambda _: "look"))
    graph = reflexion.build(workspace=workspace).compile()
    ended = await graph.ainvoke({"task": easy}, context=Context(max_trials=1))
    assert [attempt.model for attempt in ended["attempts"]] == ["scripted"]
