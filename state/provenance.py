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


def speakers(batches: Sequence[Batch], book: Rulebook) -> dict[str, list[Batch]]:
    """Return the batches that spoke for each rule, by its id.

    ADD, AGREE and EDIT speak for a rule, and so does a SET that words it anew. A SET that leaves
    the text, such as a rollback's, says nothing about what the rule rests on.
    """
    spoke: dict[str, list[Batch]] = {}
    texts: dict[str, str] = {}
    for batch in batches:
        for operation in batch.operations:
            rule = book.merged.get(operation.rule, operation.rule)
            worded = operation.kind == "SET" and operation.weight and texts.get(rule)
            if operation.kind in _FOR or (worded and worded != operation.text):
                spoke.setdefault(rule, []).append(batch)
            if operation.kind not in ("AGREE", "REMOVE"):
                texts[rule] = operation.text
    return spoke


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
    spoke = speakers(batches, book)
    for rule in book.rules:
        own = spoke.get(rule.id, [])
        tainted = [batch for batch in own if gone & set(batch.evidence)]
        if len(tainted) == len(own) and tainted:
            alone.append(rule)
        elif tainted:
            left = without.get(rule.id)
            strength = left.strength if left else 1
            partly.append(rule.model_copy(update={"strength": min(rule.strength, strength)}))
    return Resting(alone=tuple(alone), partly=tuple(partly))
