"""A scripted chat model that plays the household as the expert does, and learns as it does.

It sees only what a model sees. Its reflections are what the transcript taught, as JSON, so that
what the command line shows and counts comes out of real episodes. Run as a program it is the
`apprentice` command with this model in place of every other: what the tests of signals start.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

import models
from cli.app import main
from environments.household.expert import Knowledge, Turn, expert, learn
from state.prompts import REFLECT, REFLECTIONS
from tests.fakes import Scripted


def pupil(messages: Sequence[BaseMessage]) -> str:
    """Act on a transcript, or reflect on one."""
    system = str(messages[0].text)
    if system == REFLECT:
        return _reflect(str(messages[1].text))
    lessons = system.partition(REFLECTIONS)[2]
    known = [json.loads(line) for line in lessons.splitlines() if line.startswith("{")]
    opening, *rest = [str(message.text) for message in messages[1:]]
    turns = [Turn(*pair) for pair in zip(rest[::2], rest[1::2], strict=True)]
    return expert(opening, turns, _knowledge(known[-1]) if known else Knowledge())


def _reflect(prompt: str) -> str:
    attempt, _, rest = prompt.partition("\nSTATUS: FAIL")
    earlier = [json.loads(line) for line in rest.splitlines() if line.startswith("{")]
    opening, turns = _read(attempt)
    knowledge = learn(opening, turns, _knowledge(earlier[-1]) if earlier else Knowledge())
    return json.dumps(asdict(knowledge))


def _read(attempt: str) -> tuple[str, list[Turn]]:
    """Split a transcript into its opening and its turns."""
    opening: list[str] = []
    turns: list[list[str]] = []
    spoke = False
    for line in attempt.splitlines():
        if line.startswith("> "):
            if spoke:
                turns[-1][0] += f"\n{line[2:]}"
            else:
                turns.append([line[2:], ""])
        elif turns:
            turns[-1][1] += line
        else:
            opening.append(line)
        spoke = line.startswith("> ")
    return "\n".join(opening), [Turn(text, observation) for text, observation in turns]


def _knowledge(found: dict[str, Any]) -> Knowledge:
    return Knowledge(
        kept=found["kept"],
        found={noun: tuple(places) for noun, places in found["found"].items()},
        untried={noun: tuple(places) for noun, places in found["untried"].items()},
        works=found["works"],
    )


def chat(name: str, **settings: Any) -> BaseChatModel:
    """Stand in for `models.chat`."""
    return Scripted(pupil, delay=float(os.environ.get("PUPIL_DELAY", "0")))


if __name__ == "__main__":
    models.chat = chat
    main()
