"""What can be evaluated: ways of learning from a failure, and the controls beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from statistics import median_low
from typing import Any, Final, Literal, get_args

from apprentice.cli.journal import TaskResult
from apprentice.state.context import Recall, Strategy
from apprentice.state.nouns import Task, digest

TechniqueName = Literal[
    "none",
    "sampled",
    "last-attempt",
    "reflexion",
    "reflexion-last-attempt",
    "others-reflections",
    "exemplar",
    "random-exemplars",
    "expel",
]


@dataclass(frozen=True)
class Technique:
    """One way of learning.

    Attributes:
        about: what a further attempt has that the first had not; for exemplars, the only one.
        strategy: the reflexion graph's strategy.
        temperature: how attempts are sampled unless told otherwise.
        borrows: whether reflections come from other tasks, as a control.
        recall: how exemplars are chosen; None where none are shown.
        studies: whether rules are learned from training tasks before the first attempt.
    """

    about: str
    strategy: Strategy = "none"
    temperature: float = 0.0
    borrows: bool = False
    recall: Recall | None = None
    learns_rules: bool = False


TECHNIQUES: Final[dict[TechniqueName, Technique]] = {
    "none": Technique("nothing new: the same attempt again", "none"),
    "sampled": Technique("nothing new, but sampled at temperature 1", "none", temperature=1.0),
    "last-attempt": Technique("the last attempt's transcript", "last_attempt"),
    "reflexion": Technique("its own reflections", "reflection"),
    "reflexion-last-attempt": Technique(
        "its own reflections and the last attempt's transcript", "last_attempt_and_reflection"
    ),
    "others-reflections": Technique(
        "as many reflections of other tasks, as long as its own", "reflection", borrows=True
    ),
    "exemplar": Technique("how the most similar recorded task was solved", recall="hybrid"),
    "random-exemplars": Technique("how any recorded task was solved", recall="random"),
    "expel": Technique(
        "its own reflections; every attempt has rules learned from training tasks",
        "reflection",
        learns_rules=True,
    ),
}
NAMES: Final[tuple[TechniqueName, ...]] = get_args(TechniqueName)


def reflector_of_others(task: Task, donors: Sequence[TaskResult]) -> Callable[[Any], str]:
    """Return a reflector that hands out other tasks' reflections in place of a task's own.

    Each is as long as the one that the task's own attempts led to at the same trial, as nearly as
    there is one (within a tenth, if possible of the same kind of task), so that what it adds to
    the prompt differs in what it says alone. No reflection is lent twice; with none left it writes
    nothing.
    """
    own: list[int] = []
    candidates: list[tuple[bool, str, str]] = []
    for donor in donors:
        other = donor.task
        if (other.environment, other.id) == (task.environment, task.id):
            own += [len(text) for text in _texts(donor)]
            continue
        for number, text in enumerate(_texts(donor)):
            order = digest(task.id, other.environment, other.id, number)
            candidates.append((other.kind != task.kind, order, text))
    # A task that solved itself sooner than it does here goes on with the length of its last.
    usual = own[-1] if own else median_low([len(text) for *_, text in candidates] or [0])
    lengths = chain(own, repeat(usual))

    def lend(_prompt: object) -> str:
        if not candidates:
            return ""
        length = next(lengths)

        def fit(candidate: tuple[bool, str, str]) -> tuple[bool, bool, int, str]:
            stranger, order, text = candidate
            off = abs(len(text) - length)
            return off > length / 10, stranger, off, order

        best = min(candidates, key=fit)
        candidates.remove(best)
        return best[2]

    return lend


def _texts(donor: TaskResult) -> list[str]:
    return [reflection.text for reflection in donor.reflections]
