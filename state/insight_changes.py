"""Turns a person's changes of insights into operations on the rulebook.

Promote, demote, edit and remove work from any standing: they SET an insight's strength or its text.
If one change is impossible, a sentence says why, and no change of the answer is carried out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import TypeAdapter, ValidationError

from apprentice.state.insights import (
    DEMOTED,
    PROMOTED,
    Admission,
    InsightChange,
    InsightReview,
    Plan,
    QuarantinedInsight,
)
from apprentice.state.operations import plain
from apprentice.state.rulebook import RULE_LENGTH, Operation, Rule, Rulebook

_REVIEW: Final = TypeAdapter[InsightReview](InsightReview)


def read_review(answer: object) -> InsightReview | str:
    """Read a person's answer, or say what is wrong with it. An empty answer changes nothing."""
    try:
        return _REVIEW.validate_python({} if answer in (None, "") else answer)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return (
            f"The answer cannot be read{f' at {where}' if where else ''}: {first['msg']}. Answer "
            'with {"changes": [...]}.'
        )


def plan_changes(
    review: InsightReview, rulebook: Rulebook, quarantine: Sequence[QuarantinedInsight]
) -> Plan | list[str]:
    """Return the plan that carries out an answer, or everything that is wrong with it."""
    rules = {rule.id: rule for rule in (*rulebook.rules, *rulebook.retired)}
    operations: list[Operation] = []
    admissions: list[Admission] = []
    problems: list[str] = []
    for number, change in enumerate(review.changes, 1):
        outcome = _outcome(change, rules, quarantine)
        if isinstance(outcome, Operation):
            operations.append(outcome)
        elif isinstance(outcome, Admission):
            admissions.append(outcome)
        else:
            problems.append(f"Change {number}, {change.action}: {outcome}")
    problems = problems or _impossible(operations, admissions, rulebook)
    if problems:
        return problems
    return Plan(
        operations=tuple(operations),
        admissions=tuple(admissions),
        reason=review.reason,
        done=review.done,
    )


def _outcome(
    change: InsightChange, rules: Mapping[str, Rule], quarantine: Sequence[QuarantinedInsight]
) -> Operation | Admission | str:
    """Return the operation or admission for a change, or why it is impossible."""
    if change.action == "admit":
        return _admission(change, quarantine)
    if change.action == "add":
        return Operation(kind="ADD", text=change.text)
    return _operation(change, rules)


def _impossible(
    operations: Sequence[Operation], admissions: Sequence[Admission], rulebook: Rulebook
) -> list[str]:
    """Say which changes are impossible together."""
    if len({each.number for each in admissions}) < len(admissions):
        return ["The same is admitted twice."]
    additions = [Operation(kind="ADD", text=each.text) for each in admissions]
    result = rulebook.apply([*operations, *additions], author="person")
    if result.rejections:
        return [f"{each.written}: {each.reason}" for each in result.rejections]
    after = {rule.id: rule for rule in (*result.rulebook.rules, *result.rulebook.retired)}
    twice = [
        each.text
        for each in operations
        if each.kind == "SET" and not _is(after.get(each.rule), each)
    ]
    return [f"Two insights would say {text!r}; reword one." for text in dict.fromkeys(twice)]


def _is(rule: Rule | None, operation: Operation) -> bool:
    return rule is not None and (rule.text, rule.strength) == (operation.text, operation.weight)


def _admission(change: InsightChange, quarantine: Sequence[QuarantinedInsight]) -> Admission | str:
    if not 1 <= change.quarantined <= len(quarantine):
        return f"nothing is quarantined as number {change.quarantined}."
    text = change.text or quarantine[change.quarantined - 1].text
    if len(text) > RULE_LENGTH:
        return f"it has {len(text)} characters; give a text of at most {RULE_LENGTH}."
    return Admission(number=change.quarantined, text=plain(text))


def _operation(change: InsightChange, rules: Mapping[str, Rule]) -> Operation | str:
    """Return the operation for a change of an existing insight, or why it is impossible."""
    rule = rules.get(change.insight)
    if rule is None:
        return f"there is no insight {change.insight[:80]!r}; give the id of one that is listed."
    if change.action == "edit":
        return _set(rule, rule.strength, change.text)
    if change.action == "promote":
        return _set(rule, max(PROMOTED, rule.strength + 1))
    if rule.strength == 0:
        return "it is retired already."
    return _set(rule, DEMOTED if change.action == "demote" and rule.strength > DEMOTED else 0)


def _set(rule: Rule, strength: int, text: str | None = None) -> Operation:
    return Operation(
        kind="SET", rule=rule.id, text=rule.text if text is None else text, weight=strength
    )
