# ruff: noqa: RUF001  (models write typographic punctuation)
"""What models write as rule operations, and what is made of it."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from apprentice.state.rulebook import RULE_LENGTH, parse_operations
from tests.state.rulebook_strategies import holds

READ = {
    "plain": ("AGREE 2: Mugs are kept in cabinets.", "AGREE", 2, "Mugs are kept in cabinets."),
    "bold": ("**REMOVE 3:** Look twice.", "REMOVE", 3, "Look twice."),
    "bold word": ("**EDIT** 3: Look **twice**.", "EDIT", 3, "Look twice."),
    "bullet": ("- ADD: Look twice.", "ADD", None, "Look twice."),
    "numbered": ("1. ADD 4: Look twice.", "ADD", None, "Look twice."),
    "quote": ("> * AGREE 12: Look twice.", "AGREE", 12, "Look twice."),
    "heading": ("### AGREE 1: Look twice.", "AGREE", 1, "Look twice."),
    "no space": ("EDIT2:Look twice.", "EDIT", 2, "Look twice."),
    "lower case": ("agree 2: look twice.", "AGREE", 2, "look twice."),
    "title case": ("Remove 2", "REMOVE", 2, ""),
    "no text": ("AGREE 7", "AGREE", 7, ""),
    "hash": ("AGREE #7: Look.", "AGREE", 7, "Look."),
    "brackets": ("AGREE [7]: Look.", "AGREE", 7, "Look."),
    "placeholder kept": ("AGREE <7>: Look.", "AGREE", 7, "Look."),
    "word rule": ("AGREE rule 7: Look.", "AGREE", 7, "Look."),
    "full-width colon": ("AGREE 7：看。", "AGREE", 7, "看。"),
    "arrow": ("EDIT 2 -> Look twice.", "EDIT", 2, "Look twice."),
    "dash": ("EDIT 2 - Look twice.", "EDIT", 2, "Look twice."),
    "quoted": ('ADD 1: "Look twice."', "ADD", None, "Look twice."),
    "number copied": ("AGREE 2: 2. Look twice.", "AGREE", 2, "Look twice."),
    "fence": ("```text\nADD 1: Look twice.\n```", "ADD", None, "Look twice."),
    "two lines": ("ADD 1: Look\n  twice.", "ADD", None, "Look twice."),
    "text below": ("ADD 1:\n\nLook twice.", "ADD", None, "Look twice."),
    "commentary": ("Sure:\nADD 1: Look twice.\nIt helps.", "ADD", None, "Look twice."),
    "carriage returns": ("ADD 1: Look twice.\r\n\r\n", "ADD", None, "Look twice."),
    "control": ("ADD 1: Look\x07\ttwice.", "ADD", None, "Look twice."),
}

REFUSED = {
    "no number": ("AGREE: Look twice.", "no rule number"),
    "number in words": ("AGREE two: Look twice.", "one rule number"),
    "two numbers": ("AGREE 1, 2: Look twice.", "one rule number"),
    "range": ("REMOVE 1-3: Look twice.", "one rule number"),
    "fraction": ("AGREE 1.5: Look twice.", "one rule number"),
    "negative": ("AGREE -1: Look twice.", "one rule number"),
    "no colon": ("REMOVE 2 mugs from the list.", "one rule number"),
    "contradiction": ("AGREE 2: 3. Look twice.", "two rules, 2 and 3"),
    "astronomic": ("AGREE " + "9" * 5000 + ": Look.", "5000 digits"),
    "empty add": ("ADD 1:", "gives no rule"),
    "empty edit": ("EDIT 1:", "gives no rule"),
    "two in a line": ("AGREE 1: Look. ADD 2: Listen.", "more than one operation"),
    "unknown": ("KEEP 2: Look.", "ADD, AGREE, EDIT and REMOVE"),
    "too long": ("ADD 1: " + "x" * 10_000, "10000 characters"),
    "nothing": ("", "No operation"),
    "prose": ("I would add a rule about mugs, and agree with 2.", "No operation"),
    "prose that begins like one": ("Add the mug to the shelf.", "No operation"),
    "longer word": ("ADDITION 1 is not meant.", "No operation"),
}


@pytest.mark.parametrize(("text", "kind", "number", "rule"), READ.values(), ids=READ.keys())
def test_what_models_write_is_read(text: str, kind: str, number: int | None, rule: str) -> None:
    parsed = parse_operations(text)
    found = [(each.kind, each.number, each.text) for each in parsed.operations]
    assert (found, parsed.rejections) == ([(kind, number, rule)], ())


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_unclear_is_refused_with_the_reason(text: str, reason: str) -> None:
    parsed = parse_operations(text)
    assert parsed.operations == ()
    assert len(parsed.rejections) == 1
    assert reason in parsed.rejections[0].reason


def test_the_order_is_kept_and_the_rest_survives_a_bad_line() -> None:
    parsed = parse_operations("ADD 9: One.\nAGREE: Two.\nREMOVE 3: Three.\nEDIT 4: Four.")
    assert [str(each) for each in parsed.operations] == [
        "ADD: One.",
        "REMOVE 3: Three.",
        "EDIT 4: Four.",
    ]
    assert [each.written for each in parsed.rejections] == ["AGREE: Two."]


HEADS = st.sampled_from(("ADD", "AGREE 1", "edit 2", "**REMOVE 3", "- ADD 4", "```", "ADD\ud800"))
LINES = st.builds(lambda *parts: "".join(parts), HEADS, st.sampled_from((":", " ", "")), st.text())


@holds(st.one_of(st.text(st.characters()), st.lists(LINES).map("\n".join)))
def test_no_text_crashes_the_parser(text: str) -> None:
    parsed = parse_operations(text)
    assert parsed.operations or parsed.rejections
    for operation in parsed.operations:
        assert (operation.number is None) == (operation.kind == "ADD")
        assert len(operation.text) <= RULE_LENGTH
        assert operation.text or operation.kind in ("AGREE", "REMOVE")


@holds(st.sampled_from(("AGREE", "EDIT", "REMOVE")), st.integers(1, 999), st.booleans())
def test_a_number_is_taken_as_written_or_not_at_all(kind: str, number: int, bold: bool) -> None:
    head = f"**{kind} {number}:**" if bold else f"{kind} {number}:"
    assert [each.number for each in parse_operations(f"{head} Look.").operations] == [number]


@pytest.mark.parametrize(
    "filler", [" ", "*", "-", "`", "ADD ", "AGREE 1", "\n", "1. ", "AGREE 1:\n"]
)
def test_length_costs_no_more_than_length(filler: str) -> None:
    parse_operations(f"AGREE {filler * 20_000}")  # the timeout is the assertion
