"""The scripted expert as an agent, and a reflector that writes down what the expert learns.

They are honest parts: both see only the messages that a model would see.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from langchain_core.messages import AnyMessage

from environments.household.expert import Knowledge, Turn, expert, learn
from state.nouns import text_of


def expert_agent(messages: Sequence[AnyMessage]) -> str:
    """Act as the expert does, with the knowledge that the prompt's reflections hold."""
    system, opening, *rest = map(text_of, messages)
    turns = [Turn(*pair) for pair in zip(rest[::2], rest[1::2], strict=True)]
    return expert(opening, turns, _knowledge(system))


def expert_reflector(messages: Sequence[AnyMessage]) -> str:
    """Write what the failed transcript teaches, added to what earlier reflections knew."""
    asked = text_of(messages[-1])
    transcript, _, rest = asked.partition("\nSTATUS: FAIL")
    opening, turns = _turns(transcript)
    return json.dumps(asdict(learn(opening, turns, _knowledge(rest))))


def _knowledge(text: str) -> Knowledge:
    """Read the last reflection in a text."""
    listed = [line.removeprefix("- ") for line in text.splitlines()]
    lines = [line for line in listed if line.startswith('{"kept"')]
    if not lines:
        return Knowledge()
    fields = json.loads(lines[-1])
    found = {noun: tuple(places) for noun, places in fields["found"].items()}
    untried = {noun: tuple(places) for noun, places in fields["untried"].items()}
    return Knowledge(fields["kept"], found, untried, fields["works"])


def _turns(transcript: str) -> tuple[str, list[Turn]]:
    opening: list[str] = []
    turns: list[tuple[list[str], list[str]]] = []
    for line in transcript.splitlines():
        if line.startswith("> "):
            if not turns or turns[-1][1]:
                turns.append(([], []))
            turns[-1][0].append(line[2:])
        elif turns:
            turns[-1][1].append(line)
        else:
            opening.append(line)
    pairs = [Turn("\n".join(said), "\n".join(seen)) for said, seen in turns]
    return "\n".join(opening), pairs
