"""The rulebook: rules as a fold over batches of operations.

Semantics after ExpeL (Zhao et al. 2023, arXiv 2308.10144): a rule enters at strength 2, AGREE and
EDIT add one, REMOVE takes one (three once the list is over-full), a rule at 0 is retired; within a
batch the order is REMOVE, AGREE, EDIT, ADD; the strongest rule comes first and ties keep their
order. Prompts use numbers, and the log uses ids:

    text --parse--> operations on numbers --validate--> operations on ids --fold--> rulebook

The steps are in `state/operations.py`, `state/validator.py` (with `state/screen.py`) and
`state/fold.py`; other rooms import this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Final, Literal

from pydantic import Field

from apprentice.state.fold import Fold
from apprentice.state.operations import ParsedOperations, parse_operations
from apprentice.state.prompts import NO_RULES, number_lines
from apprentice.state.rules import RULE_LENGTH, Author, Event, Kind, Operation, Rejection, Rule
from apprentice.state.screen import screen
from apprentice.state.trajectory import SCHEMA_VERSION, FrozenModel, Name, digest
from apprentice.state.validator import BATCH_LIMIT, OperationValidator

__all__ = [
    "BATCH_LIMIT",
    "LIMIT",
    "OVERFULL",
    "RULE_LENGTH",
    "ApplyResult",
    "Author",
    "Batch",
    "Difference",
    "Event",
    "Kind",
    "Operation",
    "ParsedOperations",
    "Rejection",
    "Rule",
    "Rulebook",
    "batch_key",
    "diff",
    "fold",
    "history",
    "in_order",
    "parse_operations",
    "replay",
    "rollback",
    "screen",
]

LIMIT: Final = 20
"""Rules that a prompt shows; at this number the list counts as full."""
OVERFULL: Final = 5
"""Rules above the limit from which on a model's REMOVE weighs three."""


class Rulebook(FrozenModel):
    """Rules, the strongest first; immutable.

    Attributes:
        rules: the rules in force, in the order and with the numbers (from 1) that prompts show.
        retired: rules at strength 0, by id; a person's AGREE or EDIT revives them.
        merged: ids of rules whose text another rule had already, each with that rule's id. Votes
            on them count for that rule.
    """

    rules: tuple[Rule, ...] = ()
    retired: tuple[Rule, ...] = ()
    merged: dict[str, str] = Field(default_factory=dict)

    @cached_property
    def version(self) -> str:
        """The hash of the rules in force: equal contents, equal version."""
        return digest([(rule.id, rule.text, rule.strength) for rule in self.rules])

    def strongest(self, limit: int = LIMIT) -> tuple[Rule, ...]:
        """Return the rules that a release shows: the strongest, with the same numbers."""
        return self.rules[: max(0, limit)]

    def full(self, limit: int = LIMIT) -> bool:
        """Tell whether the list is full, so that a model has to REMOVE before it may ADD."""
        return len(self.rules) >= limit

    def numbered_rules(self) -> str:
        """Return the rules as prompts number them."""
        return number_lines([rule.text for rule in self.rules]) if self.rules else NO_RULES

    def apply(
        self,
        operations: Iterable[Operation],
        *,
        author: Author = "model",
        limit: int = LIMIT,
        origin: str = "",
    ) -> ApplyResult:
        """Validate operations against this rulebook and apply the valid ones.

        Args:
            operations: on numbers, as parsed, or on ids, as people and programs give them.
            author: a model may give four operations, its texts have to pass the screen, and it
                cannot revive a rule.
            limit: the number of rules at which the list is full.
            origin: the key of the batch; new rules' ids derive from it. Default: this rulebook's
                version.
        """
        validator = OperationValidator(
            self.rules,
            self.retired,
            self.merged,
            author=author,
            overfull=len(self.rules) >= limit + OVERFULL,
            origin=origin or self.version,
        )
        operations_in_effect = validator.validate(operations)
        state = _thaw(self)
        state.take(operations_in_effect, author)
        return ApplyResult(
            rulebook=_freeze(state),
            operations=operations_in_effect,
            rejections=tuple(validator.rejections),
        )


class ApplyResult(FrozenModel):
    """The result of applying operations.

    Attributes:
        rulebook: the new rulebook.
        operations: the applied ones, with ids and weights, as a batch logs them.
        rejections: the operations that were not applied.
    """

    rulebook: Rulebook
    operations: tuple[Operation, ...] = ()
    rejections: tuple[Rejection, ...] = ()


class Batch(FrozenModel):
    """Operations that one author gave at once: an immutable entry of the log.

    Attributes:
        key: `batch_key` of run, index and evidence.
        base: version of the rulebook that the operations were validated against.
        evidence: ids of the trajectories behind the operations.
        time: Unix time in seconds, later than that of any batch its writer knew.
    """

    key: Name
    schema_version: int = SCHEMA_VERSION
    operations: tuple[Operation, ...]
    author: Author = "model"
    base: str = ""
    run: str = ""
    index: int = 0
    evidence: tuple[str, ...] = ()
    reason: str = Field(default="", max_length=2_000)
    time: float = 0.0


class Difference(FrozenModel):
    """How one rule differs between two books; None stands for a rule that is not in force."""

    before: Rule | None = None
    after: Rule | None = None

    @property
    def kind(self) -> Literal["added", "removed", "edited", "strengthened", "weakened"]:
        """Name the difference by what a reviewer looks for first."""
        if self.before is None or self.after is None:
            return "removed" if self.after is None else "added"
        if self.before.text != self.after.text:
            return "edited"
        return "strengthened" if self.after.strength > self.before.strength else "weakened"


def batch_key(run: str, index: int, evidence: Sequence[str] = ()) -> str:
    """Derive a batch's key, so that a step that is retried votes once."""
    return digest("batch", run, index, sorted(evidence))


def in_order(batches: Iterable[Batch]) -> list[Batch]:
    """Return batches in the log's order, each key once."""
    unique = {batch.key: batch for batch in batches}
    return sorted(unique.values(), key=lambda batch: (batch.time, batch.key))


def fold(batches: Iterable[Batch], start: Rulebook | None = None) -> Rulebook:
    """Return the rulebook that batches make. Their order and the number of logs do not matter.

    Args:
        batches: the batches.
        start: the rulebook that earlier batches made; empty by default.
    """
    state = _thaw(start or Rulebook())
    for batch in in_order(batches):
        state.take(batch.operations, batch.author)
    return _freeze(state)


def replay(batches: Iterable[Batch]) -> Iterator[tuple[Batch, Rulebook]]:
    """Yield every batch, in order, with the rulebook after it."""
    state = _thaw(Rulebook())
    for batch in in_order(batches):
        state.take(batch.operations, batch.author)
        yield batch, _freeze(state)


def history(batches: Iterable[Batch], rule: str) -> list[Event]:
    """Return the events of one rule, by its id, including votes without effect."""
    state = _thaw(Rulebook())
    events: list[Event] = []
    for batch in in_order(batches):
        for event in state.take(batch.operations, batch.author):
            rule_ids = {
                event.operation.rule,
                *(each.id for each in (event.before, event.after) if each),
            }
            if rule in rule_ids:
                events.append(event.model_copy(update={"batch": batch.key}))
    return events


def diff(before: Rulebook, after: Rulebook) -> list[Difference]:
    """Return the differences of two rulebooks: rules of the later one first, then removed ones."""
    old = {rule.id: rule for rule in before.rules}
    rule_ids = {rule.id for rule in after.rules}
    changes = [
        Difference(before=old.get(rule.id), after=rule)
        for rule in after.rules
        if old.get(rule.id) != rule
    ]
    return changes + [Difference(before=rule) for rule in before.rules if rule.id not in rule_ids]


def rollback(current: Rulebook, target: Rulebook) -> tuple[Operation, ...]:
    """Return the operations that give a rulebook the rules and the order of another one.

    `apply` and the log treat them like any others, so a rollback is one more batch.
    """
    target_ids = {rule.id for rule in target.rules}
    removals = [
        Operation(kind="SET", rule=rule.id, text=rule.text, weight=0)
        for rule in current.rules
        if rule.id not in target_ids
    ]
    restorations = [
        Operation(kind="SET", rule=rule.id, text=rule.text, weight=rule.strength)
        for rule in target.rules
    ]
    return (*removals, *restorations)


def _thaw(rulebook: Rulebook) -> Fold:
    return Fold(rulebook.rules, rulebook.retired, rulebook.merged)


def _freeze(state: Fold) -> Rulebook:
    merged = dict(sorted(state.merged.items()))
    return Rulebook(rules=state.rules(), retired=state.retired(), merged=merged)
