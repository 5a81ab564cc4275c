"""Two workspaces live in one process, and neither sees what is the other's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from langgraph.graph.state import CompiledStateGraph

from apprentice.graphs import exemplar, feedback
from apprentice.settings import Settings
from apprentice.state.context import Context
from apprentice.state.errors import MissingPart, UnknownName
from apprentice.state.experience import Query
from apprentice.state.trajectory import Task
from apprentice.testing import Scripted, WordEmbeddings
from apprentice.workspace import NO_MODEL, Workspace
from tests.models import tiny

TASK = Task(id="t", environment="desk", instruction="Where is my parcel?")


def workspace(folder: Path, capital: str) -> Workspace:
    """Return a workspace with tasks and models of its own."""
    tasks = folder / "tasks" / "qa"
    tasks.mkdir(parents=True)
    line = {"id": "c", "question": "What is the capital?", "answer": capital, "split": "train"}
    (tasks / "places.jsonl").write_text(json.dumps(line))
    settings = Settings(
        tasks=folder / "tasks", local_models=folder / "models", qdrant_url="", device="cpu"
    )
    return Workspace(
        folder / "data",
        settings=settings,
        model=Scripted(lambda _: f"Answer: {capital}"),
        embeddings=WordEmbeddings(),
    )


async def sent(graph: CompiledStateGraph[Any, Any, Any, Any], text: str) -> None:
    talk = [
        {"role": "user", "content": "Where is my parcel?"},
        {"role": "assistant", "content": text},
    ]
    task = {"id": text, "environment": "desk", "instruction": "Where is my parcel?"}
    await graph.ainvoke({"messages": talk, "task": task, "verdict": {"success": True}})


async def recalled(place: Workspace) -> list[str]:
    """Return the texts of what helps with the task."""
    memory = await place.experience("default")
    return [each.text for each in await memory.recall(Query(task=TASK, limit=5))]


async def test_what_is_recorded_in_one_is_not_recalled_in_the_other(tmp_path: Path) -> None:
    places = [workspace(tmp_path / name, name) for name in ("Oslo", "Bern")]
    async with places[0], places[1]:
        for place, text in zip(places, ("At the neighbour's.", "In the shop."), strict=True):
            await sent(feedback.build(workspace=place).compile(), text)
        texts = [await recalled(place) for place in places]
        assert ["neighbour" in "".join(each) for each in texts] == [True, False]
        assert ["shop" in "".join(each) for each in texts] == [False, True]
        assert all(len(each) == 1 for each in texts)


async def test_each_has_its_own_tasks_and_its_own_model(tmp_path: Path) -> None:
    places = [workspace(tmp_path / name, name) for name in ("Oslo", "Bern")]
    task = Task(environment="qa/places", id="c")
    async with places[0], places[1]:
        for place in places:
            ended = await exemplar.build(workspace=place).compile().ainvoke({"task": task})
            assert ended["outcome"] == "solved"
            assert ended["attempts"][0].model == "scripted"
    assert places[0].environment("qa/places") is places[0].environment("qa/places")
    assert places[0].environment("qa/places") is not places[1].environment("qa/places")


def test_each_has_its_own_local_models_and_adapters(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    one, other = (workspace(tmp_path / name, name) for name in ("one", "other"))
    for place, seed in ((one, 1), (other, 2)):
        assert place.settings.local_models
        tiny.llama(place.settings.local_models / "mine", seed=seed)
    chats = [place.chat("local:mine", max_tokens=12) for place in (one, other)]
    answers = [chat.invoke("hello").text for chat in chats]
    assert answers[0] != answers[1]
    tiny.llama(tmp_path / "one" / "models" / "only")
    assert one.chat("local:only", max_tokens=2).invoke("hello").text
    with pytest.raises(UnknownName, match="Unknown local model 'only'"):
        other.chat("local:only", max_tokens=2).invoke("hello")
    assert one.adapters.root != other.adapters.root


async def test_two_with_one_folder_share_its_memory(tmp_path: Path) -> None:
    settings = Settings(qdrant_url="")
    one, other = (
        Workspace(tmp_path, settings=settings, embeddings=WordEmbeddings()) for _ in range(2)
    )
    await sent(feedback.build(workspace=one).compile(), "At the neighbour's.")
    assert len(await recalled(other)) == 1
    await one.close()
    assert len(await recalled(other)) == 1  # the other has it open still
    await other.close()


def test_making_one_touches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("APPRENTICE_TRAIN_AFTER", "no number")
    place = Workspace()
    exemplar.build(workspace=place).compile()
    assert list(tmp_path.iterdir()) == []
    assert "settings" not in vars(place)


def test_where_nobody_names_a_model_a_sentence_says_how(tmp_path: Path) -> None:
    assert Workspace(tmp_path).model == ""
    with pytest.raises(MissingPart) as refused:
        Workspace(tmp_path).chat()
    assert str(refused.value) == NO_MODEL
    named = Workspace(tmp_path, settings=Settings(model="local:novice"))
    assert named.with_model(Context()).model == "local:novice"
    assert named.with_model(Context(model="openai:m")).model == "openai:m"
