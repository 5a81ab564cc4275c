"""Examples from tasks whose ideal answer is written down: the tool calls that ship."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Final

from environments.registry import environment
from environments.toolcalls.environment import Toolcalls
from training.datasets.card import Example

ALL: Final = 100_000


def tool_calls(split: str = "train", *, shuffled: int | None = None) -> list[Example]:
    """Return every tool-call request of a split with its ideal turn, as a conversation.

    The system turn is the very one that attempts have.

    Args:
        split: train, unless something is to be compared with.
        shuffled: the seed of a control, in which every request has another one's answer.
    """
    every = Toolcalls()
    made: list[Example] = []
    for task in every.tasks(split, ALL):
        messages = [
            {"role": "system", "content": environment(task.environment).instructions},
            {"role": "user", "content": task.instruction},
            {"role": "assistant", "content": every.request(task.id).ideal},
        ]
        made.append(
            Example(
                row={"messages": messages},
                task=f"{task.environment}#{task.id}",
                opening=task.instruction,
                environment=task.environment,
                family=task.kind,
                sources=(task.environment,),
            )
        )
    return made if shuffled is None else _shuffled(made, shuffled)


def _shuffled(made: list[Example], seed: int) -> list[Example]:
    """Give every request the answer of another, drawn by the seed."""
    order = list(range(len(made)))
    random.Random(seed).shuffle(order)
    answers = {
        one: made[other].row["messages"][-1]
        for one, other in zip(order, [*order[1:], order[0]], strict=True)
    }
    return [
        replace(example, row={"messages": [*example.row["messages"][:-1], answers[place]]})
        for place, example in enumerate(made)
    ]
