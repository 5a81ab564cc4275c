"""From a rule to the trajectories it rests on, and from a trajectory to what rests on it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from state.nouns import Noun
from state.rulebook import Batch, Operation, Rule, Rulebook, fold

_FOR = ("ADD", "AGREE", "EDIT")


class Resting(Noun):
    """Rules in force that rest on certain trajectories.

    Attributes:
        alone: they have no other support.
        partly: they have, and this is what they would be without those trajectories.
    """

    alone: tuple[Rule, ...] = ()
    partly: tuple[Rule, ...] = ()

    def operations(self) -> list[Operation]:
        """Return what takes the trajectories' support away."""
        gone = [
            Operation(kind="SET", rule=rule.id, text=rule.text, weight=0) for rule in self.alone
        ]
        less = [
            Operation(kind="SET", rule=rule.id, text=rule.text, weight=rule.strength)
            for rule in self.partly
        ]
        return gone + less


def behind(batches: Sequence[Batch], book: Rulebook, rule: str) -> list[Batch]:
    """Return the batches that spoke for a rule, by its id, or set it."""
    return [
        batch
        for batch in batches
        if any(
            book.merged.get(operation.rule, operation.rule) == rule
            and (operation.kind in _FOR or (operation.kind == "SET" and operation.weight))
            for operation in batch.operations
        )
    ]


def resting_on(batches: Sequence[Batch], trajectories: Collection[str]) -> Resting:
    """Return what rests on trajectories, by their ids: all of it, or a part.

    A batch rests on every trajectory that it names, so one that is withdrawn takes all of the
    batch's votes along.
    """
    gone = set(trajectories)
    book = fold(batches)
    clean = [batch for batch in batches if not gone & set(batch.evidence)]
    without = {rule.id: rule for rule in fold(clean).rules}
    alone: list[Rule] = []
    partly: list[Rule] = []
    for rule in book.rules:
        speakers = behind(batches, book, rule.id)
        tainted = [batch for batch in speakers if gone & set(batch.evidence)]
        if len(tainted) == len(speakers) and tainted:
            alone.append(rule)
        elif tainted:
            left = without.get(rule.id)
            strength = left.strength if left else 1
            partly.append(rule.model_copy(update={"strength": min(rule.strength, strength)}))
    return Resting(alone=tuple(alone), partly=tuple(partly))
