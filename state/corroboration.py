"""Corroboration: a rule whose words come from one task alone may be planted.

An attacker can place a sentence in one transcript, on a web page or in a note, and a model may
repeat it as a rule. Such a rule speaks of things that no other task speaks of. Knowledge about an
environment appears in the transcripts of several tasks, and a model's own general words appear in
none. So a rule that takes several words from one task alone waits for a person.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

from langchain_core.messages import AnyMessage

from apprentice.state.rules import likeness
from apprentice.state.trajectory import Trajectory, text_of

FEWEST: Final = 4
"""Number of tasks from which on the check works."""
BORROWED: Final = 2
"""Number of words of a single task that stop a rule. One word may be a rare thing's name."""
_WORD: Final = re.compile(r"[^\W\d_]{3,}")
_COMMON: Final = frozenset(
    """
    after all also always and any are before but for from has have into its never not one only onto
    than that the their then there they this two was were what when where which while who with you
    your
    """.split()  # noqa: SIM905 - easier to read than a list of strings
)
_ENDING: Final = re.compile(r"(?<=\w{3})(?:ing|ed|es|s|e)$")


@dataclass(frozen=True)
class Vocabulary:
    """How many tasks each word occurs in. Words that differ only in their endings are one.

    Attributes:
        tasks: number of tasks.
        tasks_by_word: by word, the number of tasks that it occurs in.
    """

    tasks: int = 0
    tasks_by_word: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, attempts: Iterable[Trajectory]) -> Self:
        """Read the messages that agents received; attempts at one task count together."""
        by_task: dict[str, set[str]] = {}
        for attempt in attempts:
            words = by_task.setdefault(attempt.task.id, set())
            words.update(
                word
                for text in map(text_of, _environment_messages(attempt))
                for word in _words(text)
            )
        return cls(len(by_task), Counter(word for words in by_task.values() for word in words))

    def suspicion(self, text: str, trusted_rules: Iterable[str] = ()) -> str | None:
        """Return why a rule may have been planted by one transcript, or None.

        Args:
            text: the rule.
            trusted_rules: rules whose words need no other source.
        """
        if self.tasks < FEWEST:
            return None
        stand = {word for rule in trusted_rules for word in _words(rule)}
        own = {
            word: written_form for word, written_form in _words(text).items() if word not in stand
        }
        rare_words = [
            written_form for word, written_form in own.items() if self.tasks_by_word[word] == 1
        ]
        if len(rare_words) < BORROWED:
            return None
        names = ", ".join(map(repr, rare_words[:4]))
        return f"Only one of {self.tasks} tasks speaks of {names}, so the rule may be planted."


def _environment_messages(attempt: Trajectory) -> Iterable[AnyMessage]:
    return (each for each in attempt.messages if each.type not in ("ai", "system"))


def _words(text: str) -> dict[str, str]:
    """Return a text's words as they are written, keyed by their stems."""
    words = set(_WORD.findall(likeness(text))) - _COMMON
    return {_ENDING.sub("", word): word for word in sorted(words)}
