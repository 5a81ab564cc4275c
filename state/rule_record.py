"""How rules do in use: Showing, Record, and when a record has turned for the worse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import comb
from typing import Final

from pydantic import Field

from apprentice.state.trajectory import SCHEMA_VERSION, FrozenModel, Name

WINDOW: Final = 16
"""Number of latest first attempts that are compared with all before them."""
CHANCE: Final = 0.01
"""The probability by chance below which a drop counts as real."""


class Showing(FrozenModel):
    """One attempt with released rules in view, and how it ended."""

    trajectory: Name
    schema_version: int = SCHEMA_VERSION
    trial: int = Field(default=1, ge=1)
    rules: tuple[str, ...]
    success: bool
    time: float


class Record(FrozenModel):
    """The outcomes of the attempts that were shown a rule.

    `has_turned` looks at first attempts only. Later attempts are at harder tasks, and their prompts
    show reflections on the same task as well.

    Attributes:
        shown: all attempts that were shown it.
        successes: how many of them succeeded.
        shown_before: first attempts before the latest.
        successes_before: how many of them succeeded.
        shown_lately: the latest first attempts.
        successes_lately: how many of them succeeded.
        lately: their ids.
    """

    shown: int = 0
    successes: int = 0
    shown_before: int = 0
    successes_before: int = 0
    shown_lately: int = 0
    successes_lately: int = 0
    lately: tuple[str, ...] = ()

    @property
    def has_turned(self) -> bool:
        """Whether the success rate has dropped lately, beyond chance (Fisher's exact test)."""
        if self.shown_lately < WINDOW or self.shown_before < WINDOW:
            return False
        before = (self.shown_before, self.successes_before)
        return _drop(*before, self.shown_lately, self.successes_lately) <= CHANCE

    def __str__(self) -> str:
        lately = f"{self.successes_lately} of {self.shown_lately} lately"
        return f"{lately}, {self.successes_before} of {self.shown_before} before"


def record(showings: Iterable[Showing], rule: str, since: float = 0.0) -> Record:
    """Return a rule's record, by its id.

    Args:
        showings: attempts in any order.
        rule: the rule's id.
        since: when it got the text that it has, in Unix time.
    """
    own = [each for each in showings if rule in each.rules and each.time >= since]
    own.sort(key=lambda each: (each.time, each.trajectory))
    first = [each for each in own if each.trial == 1]
    before, lately = first[:-WINDOW], first[-WINDOW:]
    return Record(
        shown=len(own),
        successes=_successes(own),
        shown_before=len(before),
        successes_before=_successes(before),
        shown_lately=len(lately),
        successes_lately=_successes(lately),
        lately=tuple(each.trajectory for each in lately),
    )


def _successes(showings: Sequence[Showing]) -> int:
    return sum(each.success for each in showings)


def _drop(shown: int, successes_before: int, shown_lately: int, successes_lately: int) -> float:
    """Return the probability of so few late successes if nothing had changed."""
    total, successes = shown + shown_lately, successes_before + successes_lately
    ways = sum(
        comb(successes, few) * comb(total - successes, shown_lately - few)
        for few in range(max(0, shown_lately - (total - successes)), successes_lately + 1)
    )
    return ways / comb(total, shown_lately)
