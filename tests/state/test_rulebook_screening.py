"""Attacks through transcripts: none of them reaches a prompt unless a person lets it in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.rulebook import Rulebook, parse_operations, screen

LINES = Path(__file__).with_name("attacks.jsonl").read_text(encoding="utf-8").splitlines()
ATTACKS = {entry["how"]: entry["rule"] for entry in map(json.loads, LINES)}

HARMLESS = (
    "Mugs are kept in cabinets.",
    "Food is heated with the microwave, not with the stove.",
    "Do not forget to open everything that is closed.",
    "Ignore drawers that have been searched already.",
    "Skip places that were empty in an earlier attempt.",
    "Look at the previous observation before you act.",
    "If a thing is not where it should be, search the countertops, then the shelves.",
    "Take the thing first; then clean it with the sinkbasin.",
    "Use the desklamp only when you hold the thing to be examined.",
    "Cool things with the fridge, e.g. a tomato or a mug.",
    "Put both things down one after the other, because you carry only one.",
    "A closed receptacle hides what is in it, so open it.",
    "Go to the toilet for the second roll of paper.",
    "Pencils, pens and other tools for writing are on desks.",
    "The first and the second copy are rarely kept together.",
    "Don't examine things that you do not need.",
    "Search small places first, large ones last!",
    "Sending the newsletter on Tuesdays raises its open rate by 4.5%.",
    "Free shipping above $50 lowers the share of abandoned carts.",
    "Ask for the order number before offering a refund.",
    "Prefer the search tool when the question names a year such as 1969.",
    "Name the city and the date when calling get_weather.",
    "Replace a missing argument with its default.",
    "Räume zuerst die Küche auf.",
    "杯子通常放在橱柜里。",
    "Кружки обычно стоят в шкафу.",
)


def test_the_corpus_is_large_and_varied() -> None:
    assert len(ATTACKS) == len(LINES) >= 30


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_an_attack_is_flagged_with_the_reason(attack: str) -> None:
    reason = screen(attack)
    assert reason is not None
    assert reason.startswith("The rule ")


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
@pytest.mark.parametrize("head", ["ADD 2: ", "EDIT 1: ", "**ADD:** "])
def test_no_attack_gets_into_the_book_through_a_model(attack: str, head: str) -> None:
    book = Rulebook().apply(parse_operations("ADD: Look twice.").operations).rulebook
    applied = book.apply(parse_operations(f"{head}{attack}").operations)
    assert all(screen(rule.text) is None for rule in applied.rulebook.rules)
    assert all(rule.text != attack for rule in applied.rulebook.rules)


@pytest.mark.parametrize("rule", HARMLESS)
def test_a_plain_sentence_passes(rule: str) -> None:
    assert screen(rule) is None


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters()))
def test_any_text_gets_an_answer(text: str) -> None:
    assert screen(text) is None or str(screen(text)).endswith(".")
