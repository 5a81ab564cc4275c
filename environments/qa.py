"""Questions with reference answers, from files; the scores are those of HotpotQA's scorer.

A line of `$APPRENTICE_TASKS/qa/<dataset>.jsonl`:

    {"question": "Which came first, …?", "answer": "yes", "kind": "comparison", "split": "test"}

`answer` may be a list of right answers. `context`, a text above the question, is optional. So are
`id`, `kind`, `split` and `metadata`.

Source: Yang et al. 2018 (arXiv 1809.09600), `hotpot_evaluate_v1.py` in github.com/hotpotqa/hotpot:
an answer is right if it matches a reference exactly, and its score is the F1 over words.
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
from apprentice.state.prompts import QA_INSTRUCTIONS
from apprentice.state.trajectory import Observation, Task, Verdict

STEP_LIMIT: Final = 4  # turns, including those that have only thoughts; an answer ends the attempt

_ARTICLES: Final = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)
_ALL_OR_NOTHING: Final = ("yes", "no", "noanswer")  # a partial match with these scores 0


def normalise(text: str) -> str:
    """Return a text in lower case, without punctuation and articles."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, reference: str) -> bool:
    """Return whether two answers are equal after normalisation."""
    return normalise(prediction) == normalise(reference)


def f1(prediction: str, reference: str) -> float:
    """Return the harmonic mean of precision and recall over words, from 0 to 1."""
    answer, target = normalise(prediction), normalise(reference)
    if answer != target and (answer in _ALL_OR_NOTHING or target in _ALL_OR_NOTHING):
        return 0.0
    overlap = (Counter(answer.split()) & Counter(target.split())).total()
    if not overlap:
        return 0.0
    precision, recall = overlap / len(answer.split()), overlap / len(target.split())
    return 2 * precision * recall / (precision + recall)


def _has_words(text: str) -> str:
    if not normalise(text):
        raise ValueError("it has no words besides punctuation and articles")
    return text


Reference = Annotated[Text, AfterValidator(_has_words)]


class Question(Entry):
    """A line of a file of questions.

    Attributes:
        question: the question.
        answer: the reference answer, or several that are all right.
        context: a text that the agent sees above the question.
    """

    question: Text
    answer: Reference | Annotated[tuple[Reference, ...], Field(min_length=1)]
    context: str = Field(default="", max_length=200_000)

    @property
    def identity(self) -> tuple[str, ...]:
        """The question and its context: together they identify the task."""
        return self.question, self.context

    @property
    def references(self) -> tuple[str, ...]:
        """All right answers."""
        return (self.answer,) if isinstance(self.answer, str) else self.answer

    @property
    def prompt(self) -> str:
        """The question below its context, as the agent sees it."""
        return f"{self.context}\n\n{self.question}".lstrip()


class Qa:
    """The questions of one dataset, named `qa/<dataset>`."""

    replayable = True
    instructions = QA_INSTRUCTIONS

    def __init__(self, dataset: str, tasks: Path | None) -> None:
        self._dataset = Dataset(tasks, "qa", dataset, Question)
        self.name = self._dataset.name
        self.splits = self._dataset.split_names

    def tasks(self, split: str, limit: int, seed: int = 0) -> Iterator[Task]:
        """Yield tasks in an order that the seed determines."""
        return map(self.task, self._dataset.sample_ids(split, limit, seed))

    def task(self, task_id: str) -> Task:
        """Return the task of an id; it does not contain the reference answers."""
        return self._dataset.task(task_id, self._dataset.entry(task_id).question)

    def reset(self, task: Task) -> QuestionEpisode:
        """Start an episode."""
        return QuestionEpisode(self._dataset.entry(task.id))

    def step_limit(self, task: Task) -> int:
        """Return how many turns an attempt may take: the same for every task."""
        return STEP_LIMIT

    def read_turn(self, text: str) -> list[str]:
        """Return the answer of a turn as one action; none if it has only thoughts."""
        answer = answers.answer(text)
        return [answer] if answer else []


class QuestionEpisode:
    """An episode with one question and one answer."""

    def __init__(self, question: Question) -> None:
        self._question = question

    def first_observation(self) -> Observation:
        """Return the question below its context."""
        return Observation(text=self._question.prompt)

    def step(self, action: str) -> Observation:
        """Score the answer and end the episode; the feedback does not reveal the right answer."""
        references = self._question.references
        right = any(exact_match(action, reference) for reference in references)
        score = max(f1(action, reference) for reference in references)
        text = "The answer is right." if right else "The answer is wrong."
        verdict = Verdict(success=right, score=score, feedback=text)
        return Observation(text=text, score=score, done=True, verdict=verdict)
