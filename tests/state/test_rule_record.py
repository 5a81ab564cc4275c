"""When a rule's record has turned."""

from __future__ import annotations

import pytest

from apprentice.state.rule_record import WINDOW, Showing, record


def showings(before: str, lately: str, rule: str = "r") -> list[Showing]:
    """Return attempts that ended so: + or -, in order."""
    return [
        Showing(trajectory=f"t{n}", rules=(rule,), success=sign == "+", time=float(n))
        for n, sign in enumerate(before + lately)
    ]


@pytest.mark.parametrize(
    ("before", "lately", "turned"),
    [
        ("+" * 16, "-" * 16, True),
        ("++-+" * 8, "-" * 12 + "+" * 4, True),
        ("++-+" * 8, "++-+" * 4, False),
        ("-" * 30, "+" * 16, False),
        ("+-" * 20, "+---" * 4, False),  # may be chance
        ("+" * 15, "-" * 16, False),  # too few before
        ("+" * 40, "", False),
    ],
)
def test_a_record_turns_when_it_drops_beyond_chance(before: str, lately: str, turned: bool) -> None:
    assert record(showings(before, lately), "r").has_turned is turned


def test_a_record_counts_its_own_rule_since_it_had_its_text() -> None:
    mixed = showings("+" * 20, "-" * 16) + showings("-" * 36, "", rule="other")
    own = record(reversed(mixed), "r")
    assert (own.shown, own.successes) == (36, 20)
    assert (own.shown_lately, own.successes_lately) == (WINDOW, 0)
    assert own.lately == tuple(f"t{n}" for n in range(20, 36))
    assert str(own) == "0 of 16 lately, 20 of 20 before"
    late = record(mixed, "r", since=20.0)
    assert (late.shown, late.has_turned) == (16, False)
    assert record(mixed, "nobody").shown == 0


def test_further_attempts_count_but_do_not_turn_a_record() -> None:
    first = showings("+" * 16, "+" * 16)
    later = [
        each.model_copy(update={"trial": 2, "success": False, "trajectory": f"{n}"})
        for n, each in enumerate(first)
    ]
    own = record(first + later, "r")
    assert (own.shown, own.successes) == (64, 32)
    assert (own.shown_before, own.successes_before) == (16, 16)
    assert (own.shown_lately, own.successes_lately) == (16, 16)
    assert not own.has_turned
