"""Examples from tasks whose ideal answer is written down: the tool calls that ship, and drawn ones.

Drawn ones are conversations: several requests, one after the other, to tools that stand together
nowhere else. What a row costs is mostly the reading of its tools, and so it is paid once.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

from apprentice.environments.registry import Environments
from apprentice.environments.toolcalls import random_domains
from apprentice.environments.toolcalls.environment import Request, Toolcalls
from apprentice.environments.toolcalls.task_writer import KINDS, requests
from apprentice.state.toolcalls import section
from apprentice.training.datasets.card import Example
from apprentice.training.datasets.rows import Row

ALL: Final = 100_000
DRAWN: Final = "drawn"
REQUESTS: Final = 8
"""Of a drawn conversation; together they are as long as the tools before them."""

MIXED: Final = 0.5
"""Of the drawn conversations have written tools, put together anew."""


def tool_calls(split: str = "train", *, shuffled: int | None = None) -> list[Example]:
    """Return every tool-call request of a split with its ideal turn, as a conversation.

    The system turn is the very one that attempts have.

    Args:
        split: train, unless something is to be compared with.
        shuffled: the seed of a control, in which every request has another one's answer.
    """
    every, environments = Toolcalls(), Environments()
    made: list[Example] = []
    for task in every.tasks(split, ALL):
        said = [(task.instruction, every.request(task.id).ideal)]
        made.append(
            Example(
                row=_row(environments.get(task.environment).instructions, said),
                task=f"{task.environment}#{task.id}",
                opening=task.instruction,
                environment=task.environment,
                family=task.kind,
                sources=(task.environment,),
            )
        )
    return made if shuffled is None else _shuffled(made, shuffled)


def together(made: Sequence[Example], requests: int = REQUESTS) -> list[Example]:
    """Return examples in conversations with the tools that they share, each of several requests."""
    rows: dict[str, list[Example]] = {}
    for one in made:
        rows.setdefault(one.environment, []).append(one)
    joined = []
    for alike in rows.values():
        for first in range(0, len(alike), requests):
            part = alike[first : first + requests]
            turns = chain.from_iterable(one.row["messages"][1:] for one in part)
            messages = [part[0].row["messages"][0], *turns]
            joined.append(replace(part[0], row={"messages": messages}))
    return joined


def drawn_calls(rows: int, seed: int = 0, *, shuffled: int | None = None) -> list[Example]:
    """Return conversations with tools that are drawn or mixed anew for each, and ideal turns.

    Requests to mixed tools may be ones that `tool_calls` has as well.

    Args:
        rows: how many.
        seed: fixes them; the first rows of many are those of few.
        shuffled: the seed of a control, in which every request has another one's answer.
    """
    made = []
    for number in range(rows):
        rng = random.Random(f"{seed}:{number}")
        recombine = rng.random() < MIXED
        sample = random_domains.recombine_tools if recombine else random_domains.sample_domain
        domain = sample(rng)
        tools = [tool.schema(name) for name, tool in domain.tools.items()]
        kinds = rng.choices(list(KINDS), list(KINDS.values()), k=REQUESTS)
        asked = [Request(id="", kind=kind, **next(requests(kind, domain, rng))) for kind in kinds]
        made.append(
            Example(
                row=_row(section(tools), [(one.request, one.ideal) for one in asked]),
                task=f"{DRAWN}#{seed}-{number}",
                environment="toolcalls",
                family=DRAWN,
                sources=(DRAWN,),
            )
        )
    return made if shuffled is None else _shuffled(made, shuffled)


def _row(system: str, said: Sequence[tuple[str, str]]) -> Row:
    turns = chain.from_iterable(
        ({"role": "user", "content": asked}, {"role": "assistant", "content": answer})
        for asked, answer in said
    )
    return {"messages": [{"role": "system", "content": system}, *turns]}


def _shuffled(made: list[Example], seed: int) -> list[Example]:
    """Give every request the answer of another, drawn by the seed."""
    answers = [turn for example in made for turn in _answers(example.row)]
    order = list(range(len(answers)))
    random.Random(seed).shuffle(order)
    other = dict(zip(order, [*order[1:], order[0]], strict=True))
    dealt = iter([answers[other[place]] for place in range(len(answers))])
    return [replace(example, row=_answered(example.row, dealt)) for example in made]


def _answers(row: Row) -> list[Row]:
    return [turn for turn in row["messages"] if turn["role"] == "assistant"]


def _answered(row: Row, dealt: Iterator[Row]) -> Row:
    """Return a row with the next answers in place of its own."""
    turns = [next(dealt) if turn["role"] == "assistant" else turn for turn in row["messages"]]
    return {**row, "messages": turns}
