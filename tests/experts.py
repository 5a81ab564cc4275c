"""The scripted expert as an agent, as a reflector that writes down what it learns, and as a critic.

They are honest parts: all see only the messages that a model would see.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from langchain_core.messages import AnyMessage

from apprentice.environments.household.expert import Knowledge, Turn, expert, learn, merge
from apprentice.environments.household.vocabulary import THINGS, TREATMENTS
from apprentice.environments.household.world import world
from apprentice.state.trajectory import text_of
from apprentice.training.novice.player import Episode
from apprentice.training.novice.text_exercises import Entry, operations

_KEPT = re.compile(r"Look for (\w+) in/on a (\w+)\.")
_WORKS = re.compile(r"To (\w+) a thing, use the (\w+)\.")


def expert_agent(messages: Sequence[AnyMessage]) -> str:
    """Act as the expert does, with what the prompt's rules and reflections tell."""
    system, opening, *rest = map(text_of, messages)
    turns = [Turn(*pair) for pair in zip(rest[::2], rest[1::2], strict=True)]
    return expert(opening, turns, merge([_ruled(system), _knowledge(system)]))


def expert_reflector(messages: Sequence[AnyMessage]) -> str:
    """Write what the failed transcript teaches, added to what earlier reflections knew."""
    asked = text_of(messages[-1])
    transcript, _, rest = asked.partition("\nSTATUS: FAIL")
    opening, turns = _turns(transcript)
    return json.dumps(asdict(learn(opening, turns, _knowledge(rest))))


def expert_critic(messages: Sequence[AnyMessage]) -> str:
    """Write the rule operations that the successes in a critique's prompt support."""
    told, _, listed = text_of(messages[-1]).rpartition("\n\nRules:\n")
    ended = re.split(r"\nSTATUS: (SUCCESS|FAIL)(?:\n\n|$)", told)
    home = world("north")  # which one is of no matter here
    successes = [
        Episode(home, opening, tuple(turns), frozenset(), success=True)
        for text, status in zip(ended[::2], ended[1::2], strict=False)
        if status == "SUCCESS"
        for opening, turns in [_turns(text)]
    ]
    return "\n".join(operations(successes, [(a, k, text) for a, k, text in _entries(listed)]))


def _ruled(text: str) -> Knowledge:
    """Read what a prompt's rules say; the first rule about a thing counts."""
    kept: dict[str, str] = {}
    works: dict[str, str] = {}
    for about, kind, _ in reversed(list(_entries(text))):
        if about in THINGS:
            kept |= dict.fromkeys(THINGS[about], kind)
        elif about in TREATMENTS:
            works[about] = kind
    return Knowledge(kept, appliances=works)


def _entries(text: str) -> Iterator[Entry]:
    """Yield the rules in a text that the expert understands; each it doesn't is about nothing."""
    for rule in re.findall(r"^\d+\. (.+)$", text, re.MULTILINE):
        found = _KEPT.search(rule) or _WORKS.search(rule)
        yield (found[1], found[2], rule) if found else ("", "", rule)


def _knowledge(text: str) -> Knowledge:
    """Read the last reflection in a text."""
    listed = [line.removeprefix("- ") for line in text.splitlines()]
    lines = [line for line in listed if line.startswith('{"storage"')]
    if not lines:
        return Knowledge()
    fields = json.loads(lines[-1])
    found = {noun: tuple(places) for noun, places in fields["locations"].items()}
    untried = {noun: tuple(places) for noun, places in fields["candidates"].items()}
    return Knowledge(fields["storage"], found, untried, fields["appliances"])


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
