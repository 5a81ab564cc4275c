"""Questions with reference answers, from files; scored as HotpotQA's official scorer does.

A line of `$APPRENTICE_TASKS/qa/<dataset>.jsonl`:

    {"question": "Which came first, …?", "answer": "yes", "kind": "comparison", "split": "test"}

`answer` may be a list of answers that are all right, `context` is text to be shown above the
question, and `id`, `kind`, `split` and `metadata` may be left out.

Source: Yang et al. 2018 (arXiv 1809.09600), `hotpot_evaluate_v1.py` in github.com/hotpotqa/hotpot:
an answer succeeds by exact match, and its score is F1.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from apprentice.environments import answers
from apprentice.environments.datasets import Dataset, Entry, Text
from apprentice.state.nouns import Observation, Task, Verdict
from apprentice.state.prompts import QA_INSTRUCTIONS

STEP_LIMIT: Final = 4  # turns, those of mere thought included; the first answer ends the attempt

_ARTICLES: Final = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)
_CLOSED: Final = ("yes", "no", "noanswer")  # of these no part is worth anything


def normalise(text: str) -> str:
    """Return lower-case words without punctuation and articles."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, reference: str) -> bool:
    """Return whether two answers are the same once they are normalised."""
    return normalise(prediction) == normalise(reference)


def f1(prediction: str, reference: str) -> float:
    """Return the harmonic mean of precision and recall over words: 0 to 1."""
    given, wanted = normalise(prediction), normalise(reference)
    if given != wanted and (given in _CLOSED or wanted in _CLOSED):
        return 0.0
    shared = (Counter(given.split()) & Counter(wanted.split())).total()
    if not shared:
        return 0.0
    precision, recall = shared / len(given.split()), shared / len(wanted.split())
    return 2 * precision * recall / (precision + recall)


def _has_words(text: str) -> str:
    if not normalise(text):
        raise ValueError("nothing is left of it when punctuation and articles are taken off")
    return text


Reference = Annotated[Text, AfterValidator(_has_words)]


class Question(Entry):
    """A line of a file of questions."""

    question: Text
    answer: Reference | Annotated[tuple[Reference, ...], Field(min_length=1)]
    context: str = Field(default="", max_length=200_000)

    @property
    def identity(self) -> tuple[str, ...]:
        """The question and what is shown with it."""
        return self.question, self.context

    @property
    def references(self) -> tuple[str, ...]:
        """Every answer that is right."""
        return (self.answer,) if isinstance(self.answer, str) else self.answer

    @property
    def prompt(self) -> str:
        """What the agent is shown first."""
        return f"{self.context}\n\n{self.question}".lstrip()


class Qa:
    """The questions of one dataset: `qa/<dataset>`."""

    replayable = True
    instructions = QA_INSTRUCTIONS

    def __init__(self, dataset: str, tasks: Path | None) -> None:
        self._dataset = Dataset(tasks, "qa", dataset, Question)
        self.name = self._dataset.name
        self.splits = self._dataset.split_names

    def tasks(self, split: str, limit: int, seed: int = 0) -> Iterator[Task]:
        """Yield tasks in an order drawn by the seed."""
        return map(self.task, self._dataset.drawn(split, limit, seed))

    def task(self, task_id: str) -> Task:
        """Return the task of an id; the reference answers are no part of it."""
        return self._dataset.task(task_id, self._dataset.entry(task_id).question)

    def reset(self, task: Task) -> Questioning:
        """Start an episode."""
        return Questioning(self._dataset.entry(task.id))

    def step_limit(self, task: Task) -> int:
        """Return how many turns an attempt may take: the same for every task."""
        return STEP_LIMIT

    def read_turn(self, text: str) -> list[str]:
        """Return a turn's answer."""
        given = answers.answer(text)
        return [given] if given else []


class Questioning:
    """One question and one answer."""

    def __init__(self, question: Question) -> None:
        self._question = question

    def first_observation(self) -> Observation:
        """Return the question, below its context."""
        return Observation(text=self._question.prompt)

    def step(self, action: str) -> Observation:
        """Take the answer. What is said of it does not give the right one away."""
        references = self._question.references
        right = any(exact_match(action, reference) for reference in references)
        score = max(f1(action, reference) for reference in references)
        text = "The answer is right." if right else "The answer is wrong."
        verdict = Verdict(success=right, score=score, feedback=text)
        return Observation(text=text, score=score, done=True, verdict=verdict)
