"""What rests on a trajectory, and what is left without it."""

from __future__ import annotations

from collections.abc import Sequence

from state.provenance import resting_on
from state.rulebook import Author, Batch, Operation, Rulebook, batch_key, fold

Entry = tuple[str, Sequence[str], Author]


def log(*entries: Entry) -> list[Batch]:
    """Return batches of operations on ids: 'ADD a: text' and so on, with evidence and author."""
    batches = []
    for index, (written, evidence, author) in enumerate(entries):
        head, _, text = written.partition(": ")
        kind, rule = head.split()
        weight = {"ADD": 2, "AGREE": 1, "EDIT": 1, "REMOVE": -1, "SET": 5}[kind]
        operation = Operation.model_validate(
            {"kind": kind, "rule": rule, "text": text, "weight": weight}
        )
        batches.append(
            Batch(
                key=batch_key("r", index, evidence),
                operations=(operation,),
                author=author,
                evidence=tuple(evidence),
                time=float(index),
            )
        )
    return batches


def test_a_rule_falls_with_its_only_support_and_keeps_what_others_gave_it() -> None:
    batches = log(
        ("ADD a: Look up.", ("t1", "t2"), "model"),
        ("ADD b: Look down.", ("t1",), "model"),
        ("AGREE b: Look down.", ("t3",), "model"),
        ("ADD c: Look left.", ("t3",), "model"),
        ("REMOVE c: Look left.", ("t1",), "model"),
    )
    resting = resting_on(batches, ["t1"])
    assert [rule.id for rule in resting.alone] == ["a"]
    assert [(rule.id, rule.strength) for rule in resting.partly] == [("b", 1)]
    book = fold(batches).apply(resting.operations(), author="system").rulebook
    assert {rule.id: rule.strength for rule in book.rules} == {"b": 1, "c": 1}
    assert resting_on(batches, ["t9"]).operations() == []


def test_a_rollback_supports_nothing_and_a_persons_wording_does() -> None:
    added: Entry = ("ADD a: Look up.", ("t1",), "model")
    back = log(added, ("SET a: Look up.", ("version:x",), "person"))
    assert [rule.id for rule in resting_on(back, ["t1"]).alone] == ["a"]
    worded = log(added, ("SET a: Look around.", (), "person"))
    assert [rule.id for rule in resting_on(worded, ["t1"]).partly] == ["a"]
    agreed = log(added, ("AGREE a: Look up.", (), "person"))
    assert resting_on(agreed, ["t1"]).alone == ()


def test_a_rule_that_was_merged_into_another_supports_it() -> None:
    batches = log(
        ("ADD a: Look up.", ("t1",), "model"),
        ("ADD b: Look up.", ("t2",), "model"),
        ("AGREE b: Look up.", ("t3",), "model"),
    )
    assert fold(batches).merged == {"b": "a"}
    assert [rule.id for rule in resting_on(batches, ["t1"]).partly] == ["a"]
    assert [rule.id for rule in resting_on(batches, ["t1", "t2", "t3"]).alone] == ["a"]
    assert Rulebook() == fold([])
