"""What a person is shown, and what comes of the answer."""

from __future__ import annotations

from typing import Any

import pytest

from apprentice.state.errors import BadInput
from apprentice.state.review import (
    QuarantinedOperation,
    changes,
    declined_rules,
    read_review,
    review_operations,
)
from apprentice.state.rulebook import Batch, Operation, Rule, Rulebook, diff

OLD = Rulebook(
    rules=(Rule(id="a", text="Look up.", strength=3), Rule(id="b", text="B.", strength=2))
)
NEW = Rulebook(rules=(Rule(id="c", text="C.", strength=4), Rule(id="a", text="Look.", strength=4)))
LOG = [
    Batch(
        key=f"k{n}",
        operations=(Operation(kind=kind, rule=rule, text="C."),),
        evidence=(f"t{n}", "t9"),
        reason=f"r{n}",
    )
    for n, (kind, rule) in enumerate((("ADD", "c"), ("AGREE", "c"), ("EDIT", "a")))
]
ASKED = changes(diff(OLD, NEW), LOG)
WAITING = [QuarantinedOperation(key="q", operation=Operation(kind="ADD", text="Q."), reason="odd")]


def test_each_change_comes_with_what_is_behind_it() -> None:
    found = {each.rule: each for each in ASKED}
    assert {name: each.kind for name, each in found.items()} == {
        "c": "added",
        "a": "edited",
        "b": "removed",
    }
    assert found["c"].evidence == ("t0", "t9", "t1")
    assert found["c"].reasons == ("model: r0", "model: r1")
    assert (found["b"].text, found["b"].evidence) == ("B.", ())


@pytest.mark.parametrize(
    ("given", "texts"),
    [
        ("approve", ["C.", "Look."]),
        ("reject", ["Look up.", "B."]),
        ({"changes": {"c": "reject"}}, ["Look."]),
        ({"changes": {"b": "reject"}}, ["C.", "Look.", "B."]),
        ({"all": "reject", "changes": {"c": "approve"}}, ["C.", "Look up.", "B."]),
        ({"changes": {"a": {"edit": "Look around."}}}, ["C.", "Look around."]),
        ({"changes": {"b": {"edit": "Be."}}}, ["C.", "Look.", "Be."]),
    ],
)
def test_what_is_rejected_goes_back_and_an_edit_counts(given: Any, texts: list[str]) -> None:
    review = read_review(given, ASKED, WAITING)
    left = NEW.apply(review_operations(review, ASKED), author="person").rulebook
    assert sorted(rule.text for rule in left.rules) == sorted(texts)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("maybe", "Answer 'approve', 'reject'"),
        (None, "cannot be read"),
        ({"changes": {"zz": "reject"}}, "the rule 'zz', which was not asked about"),
        ({"quarantined": {"c": "approve"}}, "quarantined operation 'c'"),
        ({"changes": {"a": "perhaps"}}, "at 'changes.a': Input should be 'approve' or 'reject'"),
        ({"changes": {"a": {"edit": "x" * 301}}}, "should have at most 300 characters"),
        ({"everything": "approve"}, "cannot be read at 'everything'"),
    ],
)
def test_an_answer_that_cannot_be_is_a_sentence(given: Any, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        read_review(given, ASKED, WAITING)


def test_a_persons_no_stands_until_a_person_lifts_it() -> None:
    def batch(number: int, author: Any, kind: Any, weight: int) -> Batch:
        operation = Operation(kind=kind, rule="a", text="Look up!", weight=weight)
        return Batch(key=f"{number}", operations=(operation,), author=author, time=float(number))

    gone = Rulebook(retired=(Rule(id="a", text="Look up.", strength=0),))
    no = batch(1, "person", "SET", 0)
    assert declined_rules([batch(0, "model", "ADD", 2), no], gone) == {"look up"}
    assert declined_rules([no, batch(2, "model", "REMOVE", -1)], gone) == set()
    assert (
        declined_rules([batch(0, "model", "ADD", 2), batch(1, "system", "SET", 0)], gone) == set()
    )
    assert declined_rules([no], Rulebook(rules=OLD.rules)) == set()
    back = batch(3, "person", "SET", 0).model_copy(update={"evidence": ("version:x",)})
    assert declined_rules([batch(0, "model", "ADD", 2), back], gone) == set()
    assert declined_rules([no, back], gone) == {"look up"}
