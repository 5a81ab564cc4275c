"""Attempts at household tasks to make datasets of: the expert's, blind or told its world."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from langchain_core.messages import AIMessage

from apprentice.environments.household.expert import Knowledge, Turn, expert
from apprentice.environments.household.vocabulary import THINGS
from apprentice.environments.household.world import world
from apprentice.state.prompts import Shown, act_prompt
from apprentice.state.trajectory import Task, Trajectory, text_of, trajectory_id
from tests.places import advance, environment, start

NORTH = "household/north/small"


def speaking(knowledge: Knowledge) -> Callable[[Sequence[Any]], str]:
    """Return the expert as a model that knows this and no more."""

    def turn(messages: Sequence[Any]) -> str:
        _, first, *rest = map(text_of, messages)
        turns = [Turn(*pair) for pair in zip(rest[::2], rest[1::2], strict=True)]
        return expert(first, turns, knowledge)

    return turn


def told(name: str) -> Knowledge:
    """Return all there is to know of a world."""
    home = world(name)
    kept = {noun: home.keeps[category] for category, nouns in THINGS.items() for noun in nouns}
    return Knowledge(kept, appliances=dict(home.treats))


def attempt(
    task: Task, knowledge: Knowledge, *, trial: int = 1, rules: tuple[str, ...] = ()
) -> Trajectory:
    """Let the expert attempt a task."""
    instructions = environment(task.environment).instructions
    messages = act_prompt(instructions, Shown(rules=rules), text_of(start(task)))
    opening, turns = text_of(messages[1]), list[Turn]()
    while True:
        turn = AIMessage(expert(opening, turns, knowledge))
        done = advance(task, messages, turn)
        messages += [turn, done.reply]
        turns.append(Turn(text_of(turn), text_of(done.reply)))
        if done.verdict:
            return Trajectory(
                id=trajectory_id("default", task, "run", trial),
                task=task,
                run="run",
                trial=trial,
                messages=tuple(messages),
                verdict=done.verdict,
                ended_at=1000.0 + trial,
            )


def pair(task: Task) -> tuple[Trajectory, Trajectory]:
    """Attempt a task blind, then with everything in view."""
    return (
        attempt(task, Knowledge()),
        attempt(task, told("north"), trial=2, rules=("Apples are kept in the fridge.",)),
    )


def pairs(count: int, split: str = "train") -> Iterable[Trajectory]:
    """Attempt so many tasks twice each."""
    for task in environment(NORTH).tasks(split, count):
        yield from pair(task)
