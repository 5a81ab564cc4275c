"""What can be evaluated: ways of learning from a failure, and the controls beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from cli.journal import Finished
from state.context import Strategy
from state.nouns import Task, digest

TechniqueName = Literal[
    "none",
    "sampled",
    "last-attempt",
    "reflexion",
    "reflexion-last-attempt",
    "others-reflections",
    "expel",
]


@dataclass(frozen=True)
class Technique:
    """One way of trying again.

    Attributes:
        about: what a further attempt has that the first had not.
        strategy: the reflexion graph's strategy.
        temperature: how attempts are sampled unless told otherwise.
        borrows: whether reflections come from other tasks, as a control.
        studies: whether rules are learned from training tasks before the first attempt.
    """

    about: str
    strategy: Strategy
    temperature: float = 0.0
    borrows: bool = False
    studies: bool = False


TECHNIQUES: Final[dict[TechniqueName, Technique]] = {
    "none": Technique("nothing new: the same attempt again", "none"),
    "sampled": Technique("nothing new, but sampled at temperature 1", "none", temperature=1.0),
    "last-attempt": Technique("the last attempt's transcript", "last_attempt"),
    "reflexion": Technique("its own reflections", "reflection"),
    "reflexion-last-attempt": Technique(
        "its own reflections and the last attempt's transcript", "last_attempt_and_reflection"
    ),
    "others-reflections": Technique("as many reflections of another task", "reflection", 0.0, True),
    "expel": Technique(
        "its own reflections; every attempt has rules learned from training tasks",
        "reflection",
        studies=True,
    ),
}
NAMES: Final[tuple[TechniqueName, ...]] = get_args(TechniqueName)


def borrowing(task: Task, donors: Sequence[Finished]) -> Callable[[Any], str]:
    """Return a reflector that hands out other tasks' reflections in place of a task's own.

    Those of the same kind of task come first, in an order fixed by the names of the tasks. With
    none left it writes nothing.
    """
    others = sorted(
        (donor for donor in donors if donor.task.id != task.id),
        key=lambda donor: (donor.task.kind != task.kind, digest(task.id, donor.task.id)),
    )
    texts = iter([reflection.text for donor in others for reflection in donor.reflections])
    return lambda _prompt: next(texts, "")
