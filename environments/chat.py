"""Open tasks from files: one request and one answer, without a computable score.

A line of `$APPRENTICE_TASKS/chat/<dataset>.jsonl`:

    {"request": "Tell the customer that …", "rubric": ["Apologises once.", "Names the date."]}

`rubric`, `id`, `kind`, `split` and `metadata` are optional. An attempt ends without a verdict. The
verdict comes later, from a model that grades the answer by the rubric, or from a person.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from apprentice.environments import answers
from apprentice.environments.datasets import Dataset, Entry, Text
from apprentice.state.prompts import CHAT_INSTRUCTIONS
from apprentice.state.rubric import RUBRIC
from apprentice.state.trajectory import Observation, Task, Verdict

STEP_LIMIT: Final = 4  # turns, including those that have only thoughts; an answer ends the attempt
REPLY: Final = "Received."
NO_VERDICT: Final = "Nobody has judged this answer yet."


class Request(Entry):
    """A line of a file of open tasks.

    Attributes:
        request: the words of the user.
        rubric: the criteria by which a judge grades the answer.
    """

    request: Text
    rubric: Annotated[tuple[Text, ...], Field(max_length=20)] = ()

    @property
    def identity(self) -> tuple[str, ...]:
        """The request: it identifies the task."""
        return (self.request,)


class Chat:
    """The open tasks of one dataset, named `chat/<dataset>`."""

    replayable = True
    instructions = CHAT_INSTRUCTIONS

    def __init__(self, dataset: str, tasks: Path | None) -> None:
        self._dataset = Dataset(tasks, "chat", dataset, Request)
        self.name = self._dataset.name
        self.splits = self._dataset.split_names

    def tasks(self, split: str, limit: int, seed: int = 0) -> Iterator[Task]:
        """Yield tasks in an order that the seed determines."""
        return map(self.task, self._dataset.sample_ids(split, limit, seed))

    def task(self, task_id: str) -> Task:
        """Return the task of an id; its metadata holds the rubric."""
        entry = self._dataset.entry(task_id)
        return self._dataset.task(task_id, entry.request, **{RUBRIC: list(entry.rubric)})

    def reset(self, task: Task) -> Exchange:
        """Start an episode."""
        return Exchange(self._dataset.entry(task.id))

    def step_limit(self, task: Task) -> int:
        """Return how many turns an attempt may take: the same for every task."""
        return STEP_LIMIT

    def read_turn(self, text: str) -> list[str]:
        """Return the turn without its thoughts as one action; none if it has only thoughts."""
        answer = answers.without_thoughts(text)
        return [answer] if answer else []


class Exchange:
    """An episode with one request and one answer."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def first_observation(self) -> Observation:
        """Return the request."""
        return Observation(text=self._request.request)

    def step(self, action: str) -> Observation:
        """Accept the answer and end the episode without a verdict on success."""
        verdict = Verdict(success=None, feedback=NO_VERDICT)
        return Observation(text=REPLY, done=True, verdict=verdict)
