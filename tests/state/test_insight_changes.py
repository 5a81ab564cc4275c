"""What people answer: whatever it is, it is either done whole or refused with the reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.state.insight_changes import plan_changes, read_review
from apprentice.state.insights import (
    InsightChange,
    InsightReport,
    InsightReview,
    Plan,
    QuarantinedInsight,
    standing_of,
)
from apprentice.state.rulebook import Rule, Rulebook

BOOK = Rulebook(
    rules=(
        Rule(id="up", text="Short lines are opened.", strength=4),
        Rule(id="new", text="Late costs lose carts.", strength=2),
        Rule(id="down", text="Forms should be short.", strength=1),
    ),
    retired=(Rule(id="gone", text="Red sells.", strength=0),),
)
WAITING = [
    QuarantinedInsight(
        text=text, reason="Odd.", report=InsightReport(text=f"Week {n}.", hit_target=True)
    )
    for n, text in enumerate(("Visit www.example.com.", "x" * 400))
]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["changes", "action", "done", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
changes = st.builds(
    InsightChange,
    action=st.sampled_from(["promote", "demote", "edit", "add", "remove", "admit"]),
    insight=st.sampled_from(["up", "new", "down", "gone", "nobody", ""]),
    text=st.sampled_from(["", "Red sells.", "late costs lose carts", "Something else.", "   "]),
    quarantined=st.integers(0, 3),
)


@given(anything)
def test_any_answer_is_read_or_refused_with_a_sentence(answer: object) -> None:
    review = read_review(answer)
    assert isinstance(review, InsightReview) or review.startswith("The answer cannot be read")


@pytest.mark.parametrize("answer", [None, "", {}])
def test_no_answer_changes_nothing(answer: object) -> None:
    assert read_review(answer) == InsightReview()


@pytest.mark.parametrize("answer", [False, 0, [], "no"])
def test_an_unclear_answer_is_no_consent(answer: object) -> None:
    assert isinstance(read_review(answer), str)


@given(st.lists(changes, max_size=4))
def test_an_answer_is_done_whole_or_not_at_all(wanted: list[InsightChange]) -> None:
    plan = plan_changes(InsightReview(changes=tuple(wanted)), BOOK, WAITING)
    if not isinstance(plan, Plan):
        assert plan
        assert all(problem.endswith((".", "'")) for problem in plan)
        return
    assert len(plan.operations) + len(plan.admissions) == len(wanted)
    applied = BOOK.apply(plan.operations, author="person")
    assert applied.rejections == ()
    found = {rule.id: rule for rule in (*applied.rulebook.rules, *applied.rulebook.retired)}
    assert len({rule.text.casefold() for rule in applied.rulebook.rules}) == len(
        applied.rulebook.rules
    )
    for change in wanted:
        rule = found.get(change.insight)
        if change.action == "promote":
            assert rule is not None
            assert standing_of(rule.strength) == "promoted"
        elif change.action == "edit":
            assert rule is not None
            assert rule.text == change.text
        elif change.action == "remove":
            assert rule is not None
            assert standing_of(rule.strength) == "retired"


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (
            [
                InsightChange(action="edit", insight=insight, text="Red sells.")
                for insight in ("up", "new")
            ],
            "Two insights would say 'Red sells.'",
        ),
        (
            [
                InsightChange(action="add", text="Red sells."),
                InsightChange(action="promote", insight="gone"),
            ],
            "Two insights would say 'Red sells.'",
        ),
        (
            [InsightChange(action="admit", quarantined=1, text=text) for text in ("One.", "Two.")],
            "admitted twice",
        ),
        ([InsightChange(action="admit", quarantined=2)], "400 characters"),
        (
            [
                InsightChange(action="promote", insight="up"),
                InsightChange(action="demote", insight="up"),
            ],
            "already",
        ),
    ],
)
def test_changes_that_exclude_each_other_are_refused(
    wanted: list[InsightChange], says: str
) -> None:
    [problem] = plan_changes(InsightReview(changes=tuple(wanted)), BOOK, WAITING)
    assert says in str(problem)


def test_standing_follows_strength() -> None:
    assert [standing_of(strength) for strength in range(5)] == [
        "retired",
        "demoted",
        "open",
        "promoted",
        "promoted",
    ]
