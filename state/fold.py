"""The fold: applies logged operations to rules.

It accepts every logged operation and never fails, because it also reads batches that were written
at the same time. Each text belongs to one rule: an operation that would give a second rule the
same text acts on the rule that has the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from apprentice.state.rules import ORDER, Author, Event, Operation, Rule, likeness


class _Seat(NamedTuple):
    """Where a rule stands: the strongest first, then by place among equals."""

    weakness: int
    place: int


class Fold:
    """Rules, in a form that batches change quickly.

    Args:
        rules: the rules in force, in order.
        retired: the rules at strength 0.
        merged: ids of rules that were added when their text was there already, each with the id
            of the rule that has the text.
    """

    def __init__(
        self, rules: Iterable[Rule], retired: Iterable[Rule], merged: Mapping[str, str]
    ) -> None:
        in_force = list(rules)
        self._rules = {rule.id: rule for rule in (*in_force, *retired)}
        self._holders = {likeness(rule.text): rule.id for rule in in_force}
        self._seats = {rule.id: _Seat(-rule.strength, n) for n, rule in enumerate(in_force)}
        self._places = (0, len(in_force))
        self._old_seats: dict[str, _Seat | None] = {}
        self.merged = dict(merged)

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules in force, the strongest first."""
        return tuple(self._rules[rule] for rule in sorted(self._seats, key=self._seats.__getitem__))

    def retired(self) -> tuple[Rule, ...]:
        """Return the rules at strength 0, by id."""
        return tuple(self._rules[rule] for rule in sorted(self._rules.keys() - self._seats.keys()))

    def take(self, operations: Iterable[Operation], author: Author) -> list[Event]:
        """Apply one batch of logged operations, and return the effect of each."""
        in_order = sorted(operations, key=lambda operation: ORDER[operation.kind])
        self._old_seats = {}
        for operation in in_order:
            if operation.kind == "SET":
                self._lay_aside(operation)
        events = [self._do(operation, author) for operation in in_order]
        self._seat()
        return events

    def _lay_aside(self, operation: Operation) -> None:
        """Retire a rule that is about to be SET, so that rules may exchange their texts."""
        if target := self._target(operation):
            self._put(target.model_copy(update={"strength": 0}))

    def _do(self, operation: Operation, author: Author) -> Event:
        """Do one operation, on the rule that has its text if there is one."""
        target = self._target(operation)
        if reason := _void(operation, target, author):
            return Event(operation=operation, before=target, after=target, reason=reason)
        votes = operation.kind in ("AGREE", "REMOVE")
        text = target.text if target and votes else operation.text
        holder = self._rules.get(self._holders.get(likeness(text), ""))
        if holder and not target and operation.kind in ("ADD", "SET"):
            self.merged[operation.rule] = holder.id
        if holder and operation.kind == "ADD":
            reason = "The rule was in the book already."
            return Event(operation=operation, before=holder, after=holder, reason=reason)
        before = holder or target
        strength = before.strength if before and operation.kind != "SET" else 0
        after = Rule(
            id=before.id if before else operation.rule,
            text=holder.text if holder and holder != target else text,
            strength=max(0, strength + (operation.weight or 0)),
        )
        self._put(after)
        if operation.kind == "SET":
            self.merged.pop(after.id, None)
            self._old_seats.pop(after.id)
            self._old_seats[after.id] = None
        return Event(operation=operation, before=before, after=after)

    def _target(self, operation: Operation) -> Rule | None:
        """Find the rule that an operation names; a SET means the very id, merged or not."""
        rule = operation.rule
        return self._rules.get(rule if operation.kind == "SET" else self.merged.get(rule, rule))

    def _put(self, rule: Rule) -> None:
        """Store a rule as it is now, with its seat before this batch."""
        old = self._rules.get(rule.id)
        if old and old.strength:
            self._holders.pop(likeness(old.text), None)
        if rule.strength:
            self._holders[likeness(rule.text)] = rule.id
        self._rules[rule.id] = rule
        self._old_seats.setdefault(rule.id, self._seats.pop(rule.id, None))

    def _seat(self) -> None:
        """Seat the batch's rules as a stable sort would, those that are new after all others.

        Among equals, a rule that lost strength comes before those that had less all along, and a
        rule that gained comes after those that had more.
        """
        first, last = self._places
        old_seats = {rule: seat for rule, seat in self._old_seats.items() if seat is not None}
        for rule in sorted(old_seats, key=old_seats.__getitem__):
            weakness = -self._rules[rule].strength
            if weakness == old_seats[rule].weakness:
                self._seats[rule] = old_seats[rule]
            elif weakness < old_seats[rule].weakness:
                last += 1
                self._seats[rule] = _Seat(weakness, last)
        for rule in sorted(old_seats, key=old_seats.__getitem__, reverse=True):
            weakness = -self._rules[rule].strength
            if old_seats[rule].weakness < weakness < 0:
                first -= 1
                self._seats[rule] = _Seat(weakness, first)
        for rule, seat in self._old_seats.items():
            if seat is None and self._rules[rule].strength:
                last += 1
                self._seats[rule] = _Seat(-self._rules[rule].strength, last)
        self._places = (first, last)


def _void(operation: Operation, target: Rule | None, author: Author) -> str | None:
    """Say why an operation can do nothing to the rule that it names, if it can't."""
    if operation.kind not in ("AGREE", "REMOVE") and not likeness(operation.text):
        return "The operation gives no rule."
    if operation.kind == "SET":
        return None
    if operation.kind == "ADD":
        return "The rule was added before." if target and target.strength else None
    if target is None:
        return "There is no such rule."
    if target.strength == 0 and (author == "model" or operation.kind == "REMOVE"):
        return "The rule is retired."
    return None
