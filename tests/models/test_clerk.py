"""The shipped clerk: it reads unseen forms, and calls no tool by itself."""

from __future__ import annotations

import asyncio
import json
import re
from itertools import islice
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage

from apprentice import models
from apprentice.environments.toolcalls.environment import Toolcalls
from apprentice.training.clerk import vocabulary
from apprentice.training.clerk.corpus import Corpus
from apprentice.training.clerk.recipe import Clerk
from apprentice.training.scratch import chat
from apprentice.training.scratch.samples import Part
from tests.served import SHIPPED

WEIGHTS = Path(models.__file__).parent / "clerk" / "weights"
KINDS = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}


def facts() -> dict[str, Any]:
    """Return the record of the training."""
    found: dict[str, Any] = json.loads((WEIGHTS / "training.json").read_text())
    return found


def answers(asked: list[list[AnyMessage]]) -> list[str]:
    """Ask the model all questions concurrently."""
    model = SHIPPED.chat("local:clerk", max_tokens=90)

    async def every() -> list[str]:
        return [m.text for m in await asyncio.gather(*(model.ainvoke(list(q)) for q in asked))]

    return asyncio.run(every())


def messages(parts: tuple[Part, ...]) -> list[AnyMessage]:
    return [KINDS[part.role](part.text) for part in parts]


def test_the_weights_are_small_and_plainly_llama() -> None:
    assert sum(file.stat().st_size for file in WEIGHTS.iterdir()) <= 30_000_000
    assert json.loads((WEIGHTS / "config.json").read_text())["architectures"] == [
        "LlamaForCausalLM"
    ]


def test_its_prompt_has_the_fingerprint_in_its_card() -> None:
    assert facts()["prompts"] == Clerk().prompts(), "retrain the clerk, or restore the prompt"


def test_it_answers_unseen_forms() -> None:
    words = vocabulary.whole_words(chat.load(WEIGHTS))
    asked: dict[str, list[tuple[list[AnyMessage], str]]] = {"Which": [], "_": [], "": []}
    for sample in islice(Corpus(31_337, words, {}, copy_share=0), 400):
        prefixed = re.match(r"(\w+)\? ", sample.parts[1].text)
        about = prefixed[1] if prefixed else ""
        kind = "_" if "_" in about else about
        if kind in asked:  # the others ask for one parameter
            asked[kind].append((messages(sample.parts[:2]), sample.parts[2].text))
    for least, each in zip((0.8, 0.8, 0.7), asked.values(), strict=True):
        said = answers([question for question, _ in each])
        right = [one == wanted for one, (_, wanted) in zip(said, each, strict=True)]
        assert len(right) > 50
        assert sum(right) / len(right) >= least


def test_it_calls_no_tool_without_training() -> None:
    every = Toolcalls()
    asked: list[list[AnyMessage]] = []
    for task in every.tasks("validation", 12):
        tools = Toolcalls(task.environment.partition("/")[2]).instructions
        asked.append([SystemMessage(tools), HumanMessage(task.instruction)])
    assert not [said for said in answers(asked) if "<tool_call>" in said]
