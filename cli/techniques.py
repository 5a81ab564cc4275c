"""The techniques that can be evaluated: ways to learn from a failure, and their controls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from statistics import median_low
from typing import Any, Final, Literal, get_args

from apprentice.cli.journal import TaskResult
from apprentice.state.context import Recall, Strategy
from apprentice.state.trajectory import Task, digest

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
    """One technique.

    Attributes:
        about: what a further attempt has in view in addition; for exemplars, the only attempt.
        strategy: the reflexion graph's strategy.
        temperature: the default temperature of attempts.
        borrows: whether reflections come from other tasks, for a control.
        recall: how exemplars are chosen; None for no exemplars.
        learns_rules: whether rules are learned from training tasks before the first attempt.
    """

    about: str
    strategy: Strategy = "none"
    temperature: float = 0.0
    borrows: bool = False
    recall: Recall | None = None
    learns_rules: bool = False


TECHNIQUES: Final[dict[TechniqueName, Technique]] = {
    "none": Technique("nothing, so the attempt is the same", "none"),
    "sampled": Technique(
        "nothing, but attempts are sampled at temperature 1", "none", temperature=1.0
    ),
    "last-attempt": Technique("the last attempt's transcript", "last_attempt"),
    "reflexion": Technique("its own reflections", "reflection"),
    "reflexion-last-attempt": Technique(
        "its own reflections and the last attempt's transcript", "last_attempt_and_reflection"
    ),
    "others-reflections": Technique(
        "reflections of other tasks, as many and as long as its own", "reflection", borrows=True
    ),
    "exemplar": Technique("the solutions of the most similar recorded tasks", recall="hybrid"),
    "random-exemplars": Technique("the solutions of random recorded tasks", recall="random"),
    "expel": Technique(
        "its own reflections; all attempts have rules that were learned from training tasks",
        "reflection",
        learns_rules=True,
    ),
}
NAMES: Final[tuple[TechniqueName, ...]] = get_args(TechniqueName)


def reflector_of_others(task: Task, donors: Sequence[TaskResult]) -> Callable[[Any], str]:
    """Return a reflector that gives a task the reflections of other tasks.

    The reflection has about the length of the task's own one at the same trial (within a tenth if
    there is one, and of the same kind of task if possible). So the prompts of the control differ
    only in the content of the reflection. Each reflection is given once. When none is left, the
    reflector returns ''.
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
    # A task with more trials here than before continues with the length of its last reflection.
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
