"""Open tasks from files: one request, one answer, and no way to compute whether it is good.

A line of `$APPRENTICE_TASKS/chat/<dataset>.jsonl`:

    {"request": "Tell the customer that …", "rubric": ["Apologises once.", "Names the date."]}

`id`, `kind`, `split`, `metadata` and the rubric may be left out. An attempt ends without a verdict.
A model judges it by the rubric, a person does, or feedback that arrives later.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from apprentice.environments import answers
from apprentice.environments.datasets import Dataset, Entry, Text
from apprentice.state.nouns import Observation, Task, Verdict
from apprentice.state.prompts import CHAT_INSTRUCTIONS
from apprentice.state.rubric import RUBRIC

STEP_LIMIT: Final = 4  # turns, those of mere thought included; the first answer ends the attempt
RECEIVED: Final = "Received."
UNJUDGED: Final = "Nobody has judged this answer yet."


class Request(Entry):
    """A line of a file of open tasks."""

    request: Text
    rubric: Annotated[tuple[Text, ...], Field(max_length=20)] = ()

    @property
    def identity(self) -> tuple[str, ...]:
        """The request."""
        return (self.request,)


class Chat:
    """The open tasks of one dataset: `chat/<dataset>`."""

    replayable = True
    instructions = CHAT_INSTRUCTIONS

    def __init__(self, dataset: str, tasks: Path | None) -> None:
        self._dataset = Dataset(tasks, "chat", dataset, Request)
        self.name = self._dataset.name
        self.splits = self._dataset.split_names

    def tasks(self, split: str, limit: int, seed: int = 0) -> Iterator[Task]:
        """Yield tasks in an order drawn by the seed."""
        return map(self.task, self._dataset.drawn(split, limit, seed))

    def task(self, task_id: str) -> Task:
        """Return the task of an id, its rubric in its metadata."""
        entry = self._dataset.entry(task_id)
        return self._dataset.task(task_id, entry.request, **{RUBRIC: list(entry.rubric)})

    def reset(self, task: Task) -> Exchange:
        """Start an episode."""
        return Exchange(self._dataset.entry(task.id))

    def step_limit(self, task: Task) -> int:
        """Return how many turns an attempt may take: the same for every task."""
        return STEP_LIMIT

    def read_turn(self, text: str) -> list[str]:
        """Return the whole turn, without what was only thought."""
        given = answers.without_thoughts(text)
        return [given] if given else []


class Exchange:
    """One request and one answer."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def first_observation(self) -> Observation:
        """Return the request."""
        return Observation(text=self._request.request)

    def step(self, action: str) -> Observation:
        """Take the answer."""
        verdict = Verdict(success=None, feedback=UNJUDGED)
        return Observation(text=RECEIVED, done=True, verdict=verdict)
