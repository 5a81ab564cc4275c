"""What rests on a trajectory, and what is left without it."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from apprentice.state.provenance import cited_trajectories, dependents_of, is_rollback
from apprentice.state.rulebook import (
    Author,
    Batch,
    Operation,
    Rule,
    Rulebook,
    batch_key,
    fold,
    rollback,
)
from tests.state.rulebook_strategies import answers, authors, holds, logged

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
    resting = dependents_of(batches, ["t1"])
    assert [rule.id for rule in resting.alone] == ["a"]
    assert [(rule.id, rule.strength) for rule in resting.remainders] == [("b", 1)]
    book = fold(batches).apply(resting.operations(), author="system").rulebook
    assert {rule.id: rule.strength for rule in book.rules} == {"b": 1, "c": 1}
    assert dependents_of(batches, ["t9"]).operations() == []


def test_a_rollback_supports_nothing_and_a_persons_wording_does() -> None:
    added: Entry = ("ADD a: Look up.", ("t1",), "model")
    back = log(added, ("SET a: Look up.", ("version:x",), "person"))
    assert [rule.id for rule in dependents_of(back, ["t1"]).alone] == ["a"]
    worded = log(added, ("SET a: Look around.", (), "person"))
    assert [rule.id for rule in dependents_of(worded, ["t1"]).partly] == ["a"]
    agreed = log(added, ("AGREE a: Look up.", (), "person"))
    assert dependents_of(agreed, ["t1"]).alone == ()


def test_a_rule_that_was_merged_into_another_supports_it() -> None:
    batches = log(
        ("ADD a: Look up.", ("t1",), "model"),
        ("ADD b: Look up.", ("t2",), "model"),
        ("AGREE b: Look up.", ("t3",), "model"),
    )
    assert fold(batches).merged == {"b": "a"}
    assert [rule.id for rule in dependents_of(batches, ["t1"]).partly] == ["a"]
    assert [rule.id for rule in dependents_of(batches, ["t1", "t2", "t3"]).alone] == ["a"]
    assert Rulebook() == fold([])


def left(batches: list[Batch], *names: str) -> dict[str, tuple[str, int]]:
    """Return the draft that is left when trajectories are withdrawn."""
    resting = dependents_of(batches, names)
    book = fold(batches).apply(resting.operations(), author="system").rulebook
    return {rule.id: (rule.text, rule.strength) for rule in book.rules}


def test_a_rule_keeps_the_words_that_others_gave_it() -> None:
    edited = log(
        ("ADD a: Look up.", ("t1",), "model"), ("EDIT a: Look into fires.", ("t2",), "model")
    )
    assert left(edited, "t2") == {"a": ("Look up.", 2)}
    assert left(edited, "t1") == {"a": ("Look into fires.", 1)}
    assert left(edited, "t1", "t2") == {}
    agreed = log(
        ("ADD a: Look up.", ("t1",), "model"),
        ("EDIT a: Look into fires.", ("t2",), "model"),
        ("AGREE a: Look into fires.", ("t3",), "model"),
    )
    assert left(agreed, "t2") == {"a": ("Look into fires.", 3)}
    assert left(agreed, "t2", "t3") == {"a": ("Look up.", 2)}


def test_a_rollback_carries_no_withdrawn_words_along() -> None:
    back: Entry = ("SET a: Look into fires.", ("version:x",), "person")
    batches = log(
        ("ADD a: Look into fires.", ("t1",), "model"),
        ("EDIT a: Look up.", ("t2",), "model"),
        back,
    )
    assert fold(batches).rules[0].text == "Look into fires."
    assert left(batches, "t1") == {"a": ("Look up.", 1)}
    assert cited_trajectories(batches) == {"t1", "t2"}
    assert [is_rollback(batch) for batch in batches] == [False, False, True]
    sent = log(("ADD b: Look into fires.", ("version:x",), "model"))  # whose ids are the sender's
    assert cited_trajectories(sent) == {"version:x"}
    assert left(sent, "version:x") == {}


def test_words_that_another_rule_has_by_now_are_not_given_back() -> None:
    batches = log(
        ("ADD a: Look up.", ("t1",), "model"),
        ("EDIT a: Look into fires.", ("t2",), "model"),
        ("ADD c: Look up.", ("t3",), "model"),
    )
    assert left(batches, "t2") == {"c": ("Look up.", 2)}


def test_wordings_that_rest_on_withdrawn_transcripts_alone_are_barred() -> None:
    batches = log(
        ("ADD a: Look up.", ("t1",), "model"),
        ("EDIT a: Look into fires.", ("t2",), "model"),
        ("REMOVE a: Look into fires.", ("t3",), "model"),
        ("REMOVE a: Look into fires.", ("t4",), "model"),
        ("REMOVE a: Look into fires.", ("t5",), "model"),
    )
    assert fold(batches).rules == ()
    resting = dependents_of(batches, ["t2"])
    shown = [Rule(id="a", text=text, strength=2) for text in ("Look up.", "look into FIRES")]
    assert [resting.bars(rule) for rule in shown] == [False, True]


@st.composite
def told(draw: st.DrawFn) -> list[Batch]:
    """Draw a log whose batches rest on some of four trajectories, with rollbacks in between."""
    batches: list[Batch] = []
    for index in range(draw(st.integers(1, 9))):
        moment, book = float(index), fold(batches)
        evidence: tuple[str, ...] = draw(st.sampled_from((("t1",), ("t2",), ("t3", "t4"), ())))
        if index and draw(st.integers(0, 4)) == 0:
            back = rollback(book, fold(batches[: draw(st.integers(0, index))]))
            batch = Batch(key=f"k{index}", operations=back, author="person", time=moment)
            evidence = ("version:x",)
        else:
            batch = logged(book, draw(answers), "r", index, moment, draw(authors))
        batches.append(batch.model_copy(update={"evidence": evidence}))
    return batches


@holds(told(), st.sets(st.sampled_from(("t1", "t2", "t3")), min_size=1))
def test_no_withdrawn_words_are_left_and_nothing_else_is_touched(
    batches: list[Batch], names: set[str]
) -> None:
    before = fold(batches)
    resting = dependents_of(batches, names)
    applied = before.apply(resting.operations(), author="system")
    assert applied.rejections == ()
    after = {rule.id: rule for rule in applied.rulebook.rules}
    assert not any(resting.bars(rule) for rule in after.values())
    touched = {rule.id for rule in (*resting.alone, *resting.partly)}
    expected = {rule.id: rule for rule in before.rules if rule.id not in touched}
    assert after == expected | {rule.id: rule for rule in resting.remainders}
    assert all(after[rule.id].strength <= rule.strength for rule in resting.partly)
    done = Batch(
        key="w",
        operations=resting.operations(),
        author="system",
        evidence=("withdrawn",),
        time=99.0,
    )
    assert dependents_of([*batches, done], names).operations() == []
