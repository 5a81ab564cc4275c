"""A person's review of rules before their release: the question and the answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from apprentice.state.errors import BadInput
from apprentice.state.provenance import is_rollback
from apprentice.state.rulebook import Batch, Difference, Operation, Rule, Rulebook, in_order
from apprentice.state.rules import RuleText, likeness
from apprentice.state.trajectory import SCHEMA_VERSION, FrozenModel, Name

BEHIND: Final = 50
"""Pieces of evidence that a change lists, at most: the newest."""


class RuleChange(FrozenModel):
    """One rule that a release would change, and the trajectories behind the change."""

    rule: Name
    kind: Literal["added", "removed", "edited", "strengthened", "weakened"]
    before: Rule | None = None
    after: Rule | None = None
    evidence: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The new text, or the old one of a rule that is removed."""
        rule = self.after or self.before
        return rule.text if rule else ""


class QuarantinedOperation(FrozenModel):
    """An operation that the screen stopped. It has no effect until a person admits it.

    Attributes:
        status: a person's decision.
    """

    key: Name
    schema_version: int = SCHEMA_VERSION
    operation: Operation
    reason: str
    evidence: tuple[str, ...] = ()
    run: str = ""
    status: Literal["waiting", "approved", "rejected"] = "waiting"


class Edit(FrozenModel):
    """A person's wording in place of the proposed one."""

    edit: RuleText = Field(min_length=1)


Word = Literal["approve", "reject"]


class RuleReview(FrozenModel):
    """A person's answer.

    Attributes:
        all: the decision on every change that is not listed.
        changes: by rule id: approve, reject, or {"edit": "another wording"}.
        quarantined: by key: approve, reject or an edit. What is not listed goes on waiting.
    """

    all: Word = "approve"
    changes: dict[str, Word | Edit] = Field(default_factory=dict)
    quarantined: dict[str, Word | Edit] = Field(default_factory=dict)

    def on(self, change: RuleChange) -> Word | Edit:
        """Return the word on one change."""
        return self.changes.get(change.rule, self.all)


_REVIEW: Final = TypeAdapter[RuleReview](
    Annotated[RuleReview, Field(title="Review", description="A person's answer to a review.")]
)


def read_review(
    answer: Any, changes: Sequence[RuleChange], quarantine: Sequence[QuarantinedOperation]
) -> RuleReview:
    """Read a person's answer: 'approve', 'reject', or a Review.

    Raises:
        BadInput: if it is neither, or names what was not asked about.
    """
    try:
        review = _REVIEW.validate_python({"all": answer} if isinstance(answer, str) else answer)
    except ValidationError as error:
        # Of a word and an edit, the one that was meant gets further before it fails.
        first = max(error.errors(), key=lambda each: len(each["loc"]))
        where = ".".join(str(part) for part in first["loc"] if "literal[" not in str(part))
        raise BadInput(
            f"The review cannot be read at {where!r}: {first['msg']}. Answer 'approve', 'reject', "
            'or {"all": "approve", "changes": {"<rule id>": "reject"}}.'
        ) from error
    questions = {"rule": {each.rule for each in changes}, "quarantined operation": set[str]()}
    questions["quarantined operation"] |= {each.key for each in quarantine}
    answers_by_kind = {"rule": review.changes, "quarantined operation": review.quarantined}
    for what, answers in answers_by_kind.items():
        if unknown := sorted(answers.keys() - questions[what]):
            raise BadInput(
                f"The review names the {what} {unknown[0]!r}, which was not asked about. Asked "
                f"about: {', '.join(sorted(questions[what])) or 'none'}."
            )
    return review


def changes(differences: Iterable[Difference], batches: Sequence[Batch]) -> list[RuleChange]:
    """Return differences, each with its evidence and its reasons from the log."""
    batches_by_rule = support(batches)
    rule_changes = []
    for each in differences:
        rule = each.after or each.before
        if rule is None:
            continue
        behind = batches_by_rule.get(rule.id, [])
        evidence = dict.fromkeys(name for batch in behind for name in batch.evidence)
        reasons = dict.fromkeys(f"{batch.author}: {batch.reason}" for batch in behind)
        rule_changes.append(
            RuleChange(
                rule=rule.id,
                kind=each.kind,
                before=each.before,
                after=each.after,
                evidence=tuple(evidence)[-BEHIND:],
                reasons=tuple(reasons)[-BEHIND:],
            )
        )
    return rule_changes


def support(batches: Iterable[Batch]) -> dict[str, list[Batch]]:
    """Return the batches with an operation on each rule, the oldest first."""
    batches_by_rule: dict[str, list[Batch]] = {}
    for batch in batches:
        for rule in {operation.rule for operation in batch.operations}:
            batches_by_rule.setdefault(rule, []).append(batch)
    return batches_by_rule


def declined_rules(batches: Iterable[Batch], rulebook: Rulebook) -> set[str]:
    """Return the rules that a person removed, by `likeness` of their texts.

    A model may propose again a rule that was voted down, but never one that a person removed. A
    rollback is no decision on any rule: what it leaves out may be learned again.
    """
    retired_by_id = {rule.id: rule for rule in rulebook.retired}
    last = {
        operation.rule: (batch, operation)
        for batch in in_order(batches)
        if not is_rollback(batch)
        for operation in batch.operations
        if operation.rule in retired_by_id
    }
    return {
        likeness(retired_by_id[rule].text)
        for rule, (batch, operation) in last.items()
        if batch.author == "person" and operation.kind == "SET"
    }


def review_operations(review: RuleReview, rule_changes: Sequence[RuleChange]) -> list[Operation]:
    """Return the operations that carry out a review; they undo the rejected changes."""
    operations = []
    for change in rule_changes:
        word = review.on(change)
        if word == "approve":
            continue
        rule = change.after or change.before
        if rule is None:
            continue
        text, strength = rule.text, 0
        if isinstance(word, Edit):
            text, strength = word.edit, max(1, rule.strength)
        elif change.before is not None:
            text, strength = change.before.text, change.before.strength
        operations.append(Operation(kind="SET", rule=change.rule, text=text, weight=strength))
    return operations


def admitted_operations(
    review: RuleReview, quarantine: Mapping[str, QuarantinedOperation]
) -> dict[str, Operation]:
    """Return, by key, the quarantined operations that a review admits, with its edits."""
    let_in = {}
    for key, word in review.quarantined.items():
        if word == "reject":
            continue
        operation = quarantine[key].operation
        wording = {"text": word.edit} if isinstance(word, Edit) else {}
        let_in[key] = operation.model_copy(update=wording)
    return let_in
