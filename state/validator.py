"""Validates operations against the rulebook that their author saw, before they are logged.

Two passes. The first gives each operation, as written, the rule it means: a number decides, and a
quoted text that clearly is another rule makes it a mismatch. The second, in the order of the fold,
turns what would repeat a rule into an AGREE or drops it. Whatever passes has its full effect on
that book; whatever doesn't is reported with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from apprentice.state.rules import ORDER, Author, Kind, Operation, Rejection, Rule, likeness
from apprentice.state.screen import screen
from apprentice.state.trajectory import digest

BATCH_LIMIT: Final = 4
"""Operations that a model may give at once."""

_WEIGHTS: Final[dict[Kind, int]] = {"ADD": 2, "AGREE": 1, "EDIT": 1, "REMOVE": -1}
_OVERFULL_REMOVE: Final = -3
_TWICE: Final = "The rule has an operation in this batch already."
_SAME: Final = 0.8
_DIFFERENT: Final = 0.5


class OperationValidator:
    """Validates one batch of operations.

    Args:
        rules: the rules in force, in the order that gives them their numbers.
        retired: the rules at strength 0.
        merged: ids of merged rules, each with the id of the rule that has the text.
        author: who gave the operations.
        overfull: whether a model's REMOVE weighs more.
        origin: what the ids of new rules are derived from.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        retired: Sequence[Rule],
        merged: Mapping[str, str],
        *,
        author: Author,
        overfull: bool,
        origin: str,
    ) -> None:
        self.rejections: list[Rejection] = []
        self._rules = rules
        self._rules_by_id = {rule.id: rule for rule in (*rules, *retired)}
        self._merged = merged
        self._holders = {likeness(rule.text): rule for rule in rules}
        self._model = author == "model"
        self._overfull = overfull
        self._origin = origin
        self._count = 0
        self._ids_with_vote: set[str] = set()
        self._new_texts: set[str] = set()

    def validate(self, operations: Iterable[Operation]) -> tuple[Operation, ...]:
        """Return the valid operations, as they will be logged; `rejections` has the others."""
        operations_on_ids = self._operations_of(map(self._address, operations))
        operations_on_ids.sort(key=lambda operation: ORDER[operation.kind])
        return tuple(self._operations_of(map(self._word, operations_on_ids)))

    def _operations_of(self, outcomes: Iterable[Operation | Rejection]) -> list[Operation]:
        operations: list[Operation] = []
        for outcome in outcomes:
            if isinstance(outcome, Operation):
                operations.append(outcome)
            else:
                self.rejections.append(outcome)
        return operations

    def _address(self, operation: Operation) -> Operation | Rejection:
        """Give an operation the id of its rule."""
        target = self._target(operation)
        reason = self._target_problem(operation, target)
        if not reason and self._model and self._count == BATCH_LIMIT:
            reason = f"At most {BATCH_LIMIT} operations are taken at once."
        if reason:
            return _refuse(operation, reason)
        self._count += 1
        if operation.kind == "ADD":
            rule = digest("rule", self._origin, likeness(operation.text))
        else:
            rule = target.id if target else operation.rule
            self._ids_with_vote.add(rule)
        return operation.model_copy(update={"number": None, "rule": rule})

    def _target(self, operation: Operation) -> Rule | None:
        """Find the rule of an operation: by its number, else by its id."""
        if operation.kind == "ADD":
            return None
        if operation.number is None:
            rule = operation.rule
            return self._rules_by_id.get(
                rule if operation.kind == "SET" else self._merged.get(rule, rule)
            )
        inside = 1 <= operation.number <= len(self._rules)
        return self._rules[operation.number - 1] if inside else None

    def _target_problem(self, operation: Operation, target: Rule | None) -> str | None:
        """Say why an operation can't have the rule that it names, if it can't."""
        if operation.kind == "ADD":
            return None
        if operation.kind == "SET":
            return self._unsettable(operation, target)
        if target is None:
            name = repr(operation.rule) if operation.number is None else operation.number
            return f"There is no rule {name}; the list has {len(self._rules)}."
        if target.id in self._ids_with_vote:
            return _TWICE
        if target.strength == 0 and (self._model or operation.kind == "REMOVE"):
            return "The rule is retired; a person revives it, with AGREE or EDIT."
        return self._mismatch(operation, target)

    def _unsettable(self, operation: Operation, target: Rule | None) -> str | None:
        if self._model:
            return "SET is for people and rollbacks."
        if not likeness(operation.text) or operation.weight is None or operation.weight < 0:
            return "SET takes the rule's text, and as its weight the strength that it gets."
        rule = target.id if target else operation.rule
        if not rule or (operation.number is not None and target is None):
            return "SET names the rule by its id."
        return _TWICE if rule in self._ids_with_vote else None

    def _mismatch(self, operation: Operation, target: Rule) -> str | None:
        """Compare the rule that is quoted with the one that is numbered."""
        text = likeness(operation.text)
        if operation.kind == "EDIT" or operation.number is None or not text:
            return None
        other = self._holders.get(text) or self._lookalike(text, target)
        if other is None or other.id == target.id:
            return None
        number = self._rules.index(other) + 1
        return f"The number is that of rule {operation.number}, the text that of rule {number}."

    def _lookalike(self, text: str, target: Rule) -> Rule | None:
        """Find the other rule that a text clearly quotes, when it isn't the numbered one's."""
        words = set(text.split())
        if _overlap(words, target) >= _DIFFERENT:
            return None
        likeliest = max(self._rules, key=lambda rule: _overlap(words, rule))
        return likeliest if _overlap(words, likeliest) >= _SAME else None

    def _word(self, operation: Operation) -> Operation | Rejection:
        """Return an operation as it will be logged, if its text stands."""
        if operation.kind == "SET":
            return operation
        if operation.kind in ("AGREE", "REMOVE"):
            return self._vote(operation.kind, self._rules_by_id[operation.rule])
        text = likeness(operation.text)
        if not text:
            return _refuse(operation, f"{operation.kind} gives no rule.")
        if self._model and (reason := screen(operation.text)):
            return _refuse(operation, reason, by_screen=True)
        if text in self._new_texts:
            return _refuse(operation, "Another operation of this batch gives the same rule.")
        holder = self._holders.get(text)
        if holder and (holder.id != operation.rule or holder.text == operation.text):
            return self._repeat(operation, holder)
        self._new_texts.add(text)
        return operation.model_copy(update={"weight": _WEIGHTS[operation.kind]})

    def _repeat(self, operation: Operation, holder: Rule) -> Operation | Rejection:
        """Handle a text that is in the list: an EDIT becomes a vote, and an ADD is refused."""
        if operation.kind == "ADD":
            return _refuse(operation, "The rule is in the list already.")
        if holder.id != operation.rule and holder.id in self._ids_with_vote:
            return _refuse(operation, _TWICE)
        self._ids_with_vote.add(holder.id)
        return self._vote("AGREE", holder)

    def _vote(self, kind: Kind, rule: Rule) -> Operation:
        over = kind == "REMOVE" and self._model and self._overfull
        weight = _OVERFULL_REMOVE if over else _WEIGHTS[kind]
        return Operation(kind=kind, rule=rule.id, text=rule.text, weight=weight)


def _refuse(operation: Operation, reason: str, *, by_screen: bool = False) -> Rejection:
    line = str(operation)[:200]
    return Rejection(written=line, reason=reason, operation=operation, flagged=by_screen)


def _overlap(words: set[str], rule: Rule) -> float:
    """Return how many words two texts share, of all words in either: 0 to 1."""
    others = set(likeness(rule.text).split())
    return len(words & others) / len(words | others)
