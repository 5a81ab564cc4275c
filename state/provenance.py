"""Provenance: which trajectories a rule depends on, and which rules depend on a trajectory.

Withdrawing a trajectory withdraws wordings, not whole rules. If a poisoned transcript reworded a
rule, the earlier wording remains, and a release that shows the earlier wording stays in force.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from apprentice.state.rulebook import Batch, Kind, Operation, Rule, Rulebook, fold
from apprentice.state.rules import likeness
from apprentice.state.trajectory import FrozenModel

VERSION: Final = "version:"
"""Prefix of a rulebook version in the evidence of a rollback."""
WITHDRAWN: Final = "withdrawn"
"""The evidence of a batch that removes what depended on withdrawn trajectories."""

Wording = tuple[str, str]
"""A rule's id, and the `likeness` of a text that it has or had."""


class Dependents(FrozenModel):
    """What depends on certain trajectories.

    Attributes:
        alone: rules of the draft that have no other evidence.
        partly: rules of the draft that have other evidence too.
        remainders: the rules of `partly` without those trajectories, in the same order.
        wordings: wordings, also earlier ones, that no other evidence supports.
    """

    alone: tuple[Rule, ...] = ()
    partly: tuple[Rule, ...] = ()
    remainders: tuple[Rule, ...] = ()
    wordings: frozenset[Wording] = frozenset()

    @property
    def reductions(self) -> list[tuple[Rule, Rule]]:
        """The rules of `partly` that change, each before and after."""
        pairs = zip(self.partly, self.remainders, strict=True)
        return [(rule, remainder) for rule, remainder in pairs if remainder != rule]

    def operations(self) -> list[Operation]:
        """Return the operations that remove the trajectories' support."""
        retirements = [rule.model_copy(update={"strength": 0}) for rule in self.alone]
        return [
            Operation(kind="SET", rule=rule.id, text=rule.text, weight=rule.strength)
            for rule in (*retirements, *(remainder for _, remainder in self.reductions))
        ]

    def bars(self, rule: Rule) -> bool:
        """Tell whether a rule's wording in a release is withdrawn."""
        return wording_of(rule) in self.wordings


class _Word(NamedTuple):
    """One batch's support for one rule, with the wording that the rule had then."""

    wording: Wording
    batch: Batch


def wording_of(rule: Rule) -> Wording:
    """Return a rule's wording, as withdrawals compare it."""
    return rule.id, likeness(rule.text)


def is_rollback(batch: Batch) -> bool:
    """Tell whether a batch is a rollback, which is no opinion on any single rule."""
    return _restores(batch) and any(name.startswith(VERSION) for name in batch.evidence)


def cited_trajectories(batches: Iterable[Batch]) -> set[str]:
    """Return the ids of the trajectories that a log cites."""
    own = (each for each in batches if not is_rollback(each) and not _takes_away(each))
    return {name for batch in own for name in batch.evidence}


def _takes_away(batch: Batch) -> bool:
    return _restores(batch) and batch.evidence == (WITHDRAWN,)


def _restores(batch: Batch) -> bool:
    """Tell whether a batch sets rules and is no model's.

    The evidence alone does not tell, because senders of transcripts choose the ids.
    """
    return batch.author != "model" and all(each.kind == "SET" for each in batch.operations)


def supporters(batches: Sequence[Batch], rulebook: Rulebook) -> dict[str, list[Batch]]:
    """Return the batches that supported each rule, by its id."""
    spoke: dict[str, list[Batch]] = {}
    for (rule, _), batch in _statements(batches, rulebook):
        spoke.setdefault(rule, []).append(batch)
    return spoke


def _statements(batches: Iterable[Batch], rulebook: Rulebook) -> Iterator[_Word]:
    """Yield every support of a rule, the oldest first.

    ADD, AGREE and EDIT support a rule. A SET supports it only with a wording that the rule never
    had: a SET to an earlier wording, such as a rollback's, is no evidence.
    """
    wordings: set[Wording] = set()
    now: dict[str, str] = {}
    for batch in batches:
        for operation in batch.operations:
            rule = rulebook.merged.get(operation.rule, operation.rule)
            text = likeness(operation.text) or now.get(rule, "")
            anew = bool(operation.weight) and (rule, text) not in wordings
            if operation.kind in ("ADD", "AGREE", "EDIT") or (operation.kind == "SET" and anew):
                wordings.add((rule, text))
                yield _Word((rule, text), batch)
            if operation.kind not in ("AGREE", "REMOVE"):
                now[rule] = text


def dependents_of(batches: Sequence[Batch], trajectories: Collection[str]) -> Dependents:
    """Return what depends on trajectories, wholly or partly.

    A batch depends on every trajectory that it cites. If one of them is withdrawn, all votes of the
    batch are.
    """
    withdrawn_ids = set(trajectories)
    rulebook = fold(batches)
    words = list(_statements(batches, rulebook))
    sound = {word.wording for word in words if not withdrawn_ids & set(word.batch.evidence)}
    orphans = frozenset(word.wording for word in words) - sound
    affected_ids = {word.wording[0] for word in words if withdrawn_ids & set(word.batch.evidence)}
    affected_rules = [rule for rule in rulebook.rules if rule.id in affected_ids]
    clean = _without(batches, withdrawn_ids, orphans, rulebook)
    other_texts = {
        likeness(rule.text) for rule in rulebook.rules if wording_of(rule) not in orphans
    }
    alone: list[Rule] = []
    pairs: list[tuple[Rule, Rule]] = []
    for rule in affected_rules:
        remainder = _remainder(rule, clean.get(rule.id), other_texts, wording_of(rule) in orphans)
        if remainder is None:
            alone.append(rule)
        else:
            other_texts.add(likeness(remainder.text))
            pairs.append((rule, remainder))
    return Dependents(
        alone=tuple(alone),
        partly=tuple(rule for rule, _ in pairs),
        remainders=tuple(remainder for _, remainder in pairs),
        wordings=orphans,
    )


def _remainder(
    rule: Rule, clean: Rule | None, other_texts: Collection[str], is_orphan: bool
) -> Rule | None:
    """Return what remains of a rule, or None.

    Args:
        rule: the rule as it is.
        clean: the rule that the other evidence alone makes.
        other_texts: texts of other rules.
        is_orphan: whether no other evidence supports the rule's wording.
    """
    votes = clean.strength if clean else 0
    if not is_orphan:  # it has a word of its own, which is at least that
        return rule.model_copy(update={"strength": min(rule.strength, max(1, votes))})
    if clean is None or not votes or likeness(clean.text) in other_texts:
        return None
    return clean.model_copy(update={"strength": min(rule.strength, votes)})


def _without(
    batches: Iterable[Batch],
    withdrawn_ids: Collection[str],
    orphans: Collection[Wording],
    rulebook: Rulebook,
) -> dict[str, Rule]:
    """Return the rules that a log makes without certain trajectories, by id.

    Rollbacks and earlier withdrawals are left out, because what they restore may depend on the same
    trajectories.
    """
    rule_ids: set[str] = set()
    clean_batches: list[Batch] = []
    for batch in batches:
        if set(withdrawn_ids) & set(batch.evidence) or is_rollback(batch) or _takes_away(batch):
            continue
        operations = []
        for operation in batch.operations:
            rule = rulebook.merged.get(operation.rule, operation.rule)
            text = likeness(operation.text)
            if operation.kind == "SET" and (rule, text) in orphans:
                continue
            # AGREE and EDIT support a rule. If the batch that added it is gone, they add it.
            first = text and rule not in rule_ids and operation.kind in ("AGREE", "EDIT")
            kind: Kind = "ADD" if first else operation.kind
            operations.append(operation.model_copy(update={"rule": rule, "kind": kind}))
            if kind in ("ADD", "SET"):
                rule_ids.add(rule)
        clean_batches.append(batch.model_copy(update={"operations": tuple(operations)}))
    return {rule.id: rule for rule in fold(clean_batches).rules}
