"""Rule, Operation, Event and Rejection: the parts of the rulebook."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Annotated, Final, Literal

from pydantic import Field

from apprentice.state.trajectory import FrozenModel, Name

RULE_LENGTH: Final = 300
"""Characters that a rule may have."""

Kind = Literal["REMOVE", "AGREE", "EDIT", "ADD", "SET"]
Author = Literal["model", "person", "system"]
RuleText = Annotated[str, Field(max_length=RULE_LENGTH, pattern=r"^[^\x00-\x1f\x7f]*$")]

ORDER: Final[dict[Kind, int]] = {"REMOVE": 0, "AGREE": 1, "EDIT": 2, "ADD": 3, "SET": 4}
"""The order of operations within a batch."""


class Rule(FrozenModel):
    """One rule. At strength 0 it is retired: no prompt shows it, but it can be revived."""

    id: Name
    text: RuleText
    strength: int = Field(ge=0)


class Operation(FrozenModel):
    """One vote on, or change to, one rule.

    A prompt names a rule by its number; people and the log name it by its id. `Rulebook.apply`
    turns numbers into ids and fills in the weight.

    Attributes:
        kind: models give ADD, AGREE, EDIT and REMOVE. People and rollbacks may also SET a rule's
            text and strength.
        number: the rule as a prompt showed it, from 1; None where `rule` names it, and for ADD.
        rule: the rule's id.
        text: the new rule of an ADD, EDIT or SET; for AGREE or REMOVE, the rule it refers to.
        weight: what is added to the rule's strength, or, for SET, the strength it gets; a strength
            counts votes, and votes have no end.
    """

    kind: Kind
    number: int | None = Field(default=None, ge=0, le=999_999)
    rule: str = Field(default="", max_length=200)
    text: RuleText = ""
    weight: int | None = Field(default=None, ge=-1000)

    def __str__(self) -> str:
        target = self.rule[:8] if self.number is None else str(self.number)
        head = f"{self.kind} {target}".rstrip()
        return f"{head}: {self.text}" if self.text else head


class Event(FrozenModel):
    """The effect of one logged operation on one rule. A reason says why it had none.

    Attributes:
        batch: the key of the operation's batch.
        before: the rule before, None if it was new.
        after: the rule after, None if there is none.
    """

    batch: str = ""
    operation: Operation
    before: Rule | None = None
    after: Rule | None = None
    reason: str = ""


class Rejection(FrozenModel):
    """An operation that was not applied, and why.

    Attributes:
        written: the operation as it was written, shortened.
        reason: one sentence.
        operation: the operation, where it could be read.
        flagged: whether the screen stopped it; a person may still admit it.
    """

    written: str
    reason: str
    operation: Operation | None = None
    flagged: bool = False


@lru_cache(maxsize=8192)
def likeness(text: str) -> str:
    """Normalise a text for comparison: ignore its case, its spacing and the last full stop."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).rstrip(" .!。")
