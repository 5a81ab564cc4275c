"""Examples from tasks with a known ideal answer: the bundled tool calls, and sampled ones.

A sampled example is a conversation with several requests to the same tools, and these tools occur
together in no other example. Most of the cost of a row is reading its tools, so several requests
share that cost.
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
SAMPLED: Final = "drawn"
REQUESTS: Final = 8
"""Requests in one conversation; together they are about as long as the tools before them."""

MIXED_SHARE: Final = 0.5
"""Share of the sampled conversations that combine bundled tools; the others have new tools."""


def tool_calls(split: str = "train", *, shuffle_seed: int | None = None) -> list[Example]:
    """Return every bundled request of a split with its ideal answer, as a conversation.

    The system turn is the same as in attempts.

    Args:
        split: the split of the tasks; train on `train` only.
        shuffle_seed: the seed of a control in which every request has the answer of another one.
    """
    every, environments = Toolcalls(), Environments()
    examples: list[Example] = []
    for task in every.tasks(split, ALL):
        exchanges = [(task.instruction, every.request(task.id).ideal)]
        examples.append(
            Example(
                row=_row(environments.get(task.environment).instructions, exchanges),
                task=f"{task.environment}#{task.id}",
                opening=task.instruction,
                environment=task.environment,
                family=task.kind,
                sources=(task.environment,),
            )
        )
    return examples if shuffle_seed is None else _shuffle_answers(examples, shuffle_seed)


def join_conversations(examples: Sequence[Example], requests: int = REQUESTS) -> list[Example]:
    """Join examples with the same tools into conversations of up to `requests` requests."""
    rows: dict[str, list[Example]] = {}
    for one in examples:
        rows.setdefault(one.environment, []).append(one)
    conversations = []
    for group in rows.values():
        for start in range(0, len(group), requests):
            part = group[start : start + requests]
            turns = chain.from_iterable(one.row["messages"][1:] for one in part)
            messages = [part[0].row["messages"][0], *turns]
            conversations.append(replace(part[0], row={"messages": messages}))
    return conversations


def sampled_calls(rows: int, seed: int = 0, *, shuffle_seed: int | None = None) -> list[Example]:
    """Return conversations with ideal answers, each with tools of its own.

    The tools of a conversation are new, or a new combination of bundled tools. In the second case
    a request may also occur in `tool_calls`.

    Args:
        rows: the number of conversations.
        seed: the seed; more rows with the same seed begin with the same rows.
        shuffle_seed: the seed of a control in which every request has the answer of another one.
    """
    examples = []
    for number in range(rows):
        rng = random.Random(f"{seed}:{number}")
        domain = (
            random_domains.recombine_tools(rng)
            if rng.random() < MIXED_SHARE
            else random_domains.sample_domain(rng)
        )
        tools = [tool.schema(name) for name, tool in domain.tools.items()]
        kinds = rng.choices(list(KINDS), list(KINDS.values()), k=REQUESTS)
        sampled_requests = [
            Request(id="", kind=kind, **next(requests(kind, domain, rng))) for kind in kinds
        ]
        examples.append(
            Example(
                row=_row(section(tools), [(one.request, one.ideal) for one in sampled_requests]),
                task=f"{SAMPLED}#{seed}-{number}",
                environment="toolcalls",
                family=SAMPLED,
                sources=(SAMPLED,),
            )
        )
    return examples if shuffle_seed is None else _shuffle_answers(examples, shuffle_seed)


def _row(system: str, exchanges: Sequence[tuple[str, str]]) -> Row:
    turns = chain.from_iterable(
        ({"role": "user", "content": request}, {"role": "assistant", "content": answer})
        for request, answer in exchanges
    )
    return {"messages": [{"role": "system", "content": system}, *turns]}


def _shuffle_answers(examples: list[Example], seed: int) -> list[Example]:
    """Give every request the answer of another one, in an order that the seed sets."""
    answers = [turn for example in examples for turn in _answers(example.row)]
    order = list(range(len(answers)))
    random.Random(seed).shuffle(order)
    other = dict(zip(order, [*order[1:], order[0]], strict=True))
    replacements = iter([answers[other[place]] for place in range(len(answers))])
    return [replace(example, row=_with_answers(example.row, replacements)) for example in examples]


def _answers(row: Row) -> list[Row]:
    return [turn for turn in row["messages"] if turn["role"] == "assistant"]


def _with_answers(row: Row, answers: Iterator[Row]) -> Row:
    """Return a row in which the next `answers` replace its own."""
    turns = [next(answers) if turn["role"] == "assistant" else turn for turn in row["messages"]]
    return {**row, "messages": turns}
