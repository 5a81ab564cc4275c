"""From what a person wants changed to operations on the rulebook.

Promote, demote, edit and remove work from any standing: they SET an insight's strength, or its
text, whatever it had. What can't be done is said in a sentence and nothing of the answer is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import TypeAdapter, ValidationError

from state.insights import DEMOTED, PROMOTED, Admitted, Change, Plan, Quarantined, Review
from state.operations import plain
from state.rulebook import RULE_LENGTH, Operation, Rule, Rulebook
from state.rules import likeness

_REVIEW: Final = TypeAdapter[Review](Review)


def read_review(answer: object) -> Review | str:
    """Read a person's answer, or say what is wrong with it. Nothing, and {}, change nothing."""
    try:
        return _REVIEW.validate_python(answer or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return (
            f"The answer cannot be read{f' at {where}' if where else ''}: {first['msg']}. Answer "
            'with {"changes": [...]}.'
        )


def planned(review: Review, book: Rulebook, quarantined: Sequence[Quarantined]) -> Plan | list[str]:
    """Return what an answer comes to on a book, or everything that is wrong with it."""
    known = {rule.id: rule for rule in (*book.rules, *book.retired)}
    operations: list[Operation] = []
    admitted: list[Admitted] = []
    problems: list[str] = []
    for number, change in enumerate(review.changes, 1):
        outcome = _outcome(change, known, book, quarantined)
        if isinstance(outcome, Operation):
            operations.append(outcome)
        elif isinstance(outcome, Admitted):
            admitted.append(outcome)
        else:
            problems.append(f"Change {number}, {change.action}: {outcome}")
    if not problems:
        problems = _rejections([*operations, *map(_addition, admitted)], book)
    if problems:
        return problems
    return Plan(
        operations=tuple(operations),
        admitted=tuple(admitted),
        reason=review.reason,
        done=review.done,
    )


def _outcome(
    change: Change, known: Mapping[str, Rule], book: Rulebook, quarantined: Sequence[Quarantined]
) -> Operation | Admitted | str:
    """Return what a change comes to, or why it can't be done."""
    if change.action == "admit":
        return _admitted(change, quarantined)
    if change.action == "add":
        return Operation(kind="ADD", text=change.text)
    return _changed(change, known, book)


def _rejections(operations: Sequence[Operation], book: Rulebook) -> list[str]:
    rejected = book.apply(operations, author="person").rejected
    return [f"{each.written}: {each.reason}" for each in rejected]


def _admitted(change: Change, quarantined: Sequence[Quarantined]) -> Admitted | str:
    if not 1 <= change.quarantined <= len(quarantined):
        return f"nothing is quarantined as number {change.quarantined}."
    text = change.text or quarantined[change.quarantined - 1].text
    if len(text) > RULE_LENGTH:
        return f"it has {len(text)} characters; give a text of at most {RULE_LENGTH}."
    return Admitted(number=change.quarantined, text=plain(text))


def _addition(admitted: Admitted) -> Operation:
    return Operation(kind="ADD", text=admitted.text)


def _changed(change: Change, known: Mapping[str, Rule], book: Rulebook) -> Operation | str:
    """Return the operation that a change of a known insight comes to, or why there is none."""
    rule = known.get(change.insight)
    if rule is None:
        return f"there is no insight {change.insight[:80]!r}; give the id of one that is listed."
    if change.action == "edit":
        twin = _twin(change.text, rule, book)
        return twin or _set(rule, rule.strength, change.text)
    if change.action == "promote":
        return _set(rule, max(PROMOTED, rule.strength + 1))
    if rule.strength == 0:
        return "it is retired already."
    return _set(rule, DEMOTED if change.action == "demote" and rule.strength > DEMOTED else 0)


def _twin(text: str, rule: Rule, book: Rulebook) -> str | None:
    """Say which other insight has a text, if any."""
    for other in book.rules:
        if other.id != rule.id and likeness(other.text) == likeness(text):
            return f"the insight {other.id!r} says that already."
    return None


def _set(rule: Rule, strength: int, text: str | None = None) -> Operation:
    return Operation(
        kind="SET", rule=rule.id, text=rule.text if text is None else text, weight=strength
    )
